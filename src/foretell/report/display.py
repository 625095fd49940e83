"""A figure that also gives its numbers, and matplotlib's SVG made fit to stand in a page."""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from foretell.report.html import escape

Column = NDArray[Any] | list[Any]

# role -> colour on white; the page sets --role for light and dark, a lone SVG falls back to these
COLOURS = {
    "ink": "#1b2330",
    "muted": "#626d7d",
    "grid": "#dde2ea",
    "card": "#fefefe",
    "sample": "#2f6db5",
    "top": "#cf6a0c",
    "random": "#87919e",
    "winner": "#b3136b",
    "kind-0": "#12807a",
    "kind-1": "#6b4fc0",
    "kind-2": "#94690a",
    "kind-3": "#2a6ebb",
    "kind-4": "#b2406b",
    "kind-5": "#4b7a1f",
}
PHASES = {"sample": "sampled", "top": "predicted best", "random": "random search"}

_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "foretell",
    "path.simplify": False,
    "font.family": "DejaVu Sans",
    "font.size": 12.0,
    "text.color": COLOURS["ink"],
    "text.parse_math": False,
    "axes.edgecolor": COLOURS["muted"],
    "axes.labelcolor": COLOURS["muted"],
    "axes.titlecolor": COLOURS["muted"],
    "axes.titlesize": 12.0,
    "axes.titlelocation": "left",
    "axes.titlepad": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": COLOURS["grid"],
    "grid.linewidth": 1.0,
    "xtick.color": COLOURS["muted"],
    "ytick.color": COLOURS["muted"],
    "ytick.major.size": 0.0,
    "legend.frameon": False,
    "legend.handletextpad": 0.3,
    "legend.columnspacing": 1.2,
}


@dataclass(frozen=True)
class Display:
    """A figure: what it shows in words, its numbers, and how it is drawn.

    Args:
        name: unique in a page; prefix of all ids in the SVG.
        title: of the figure.
        caption: what is seen, and how far it can be trusted.
        numbers: the values behind the figure, columns of equal length.
        render: draws the SVG.
    """

    name: str
    title: str
    caption: str
    numbers: Mapping[str, Column]
    render: Callable[[], str]

    def svg(self) -> str:
        """The figure as one `<svg>` element; equal numbers give equal text."""
        return self.render()

    def frame(self) -> dict[str, Column]:
        """The numbers behind the figure, a column a name; `pandas.DataFrame` takes it."""
        return dict(self.numbers)

    def csv(self) -> str:
        """`frame` as CSV, numbers in six significant digits."""
        return table_csv(self.numbers)


def table_csv(columns: Mapping[str, Column]) -> str:
    """Columns as CSV text, NaN as nothing.

    >>> table_csv({"id": [0, 1], "value": [0.5, float("nan")]})
    'id,value\\r\\n0,0.5\\r\\n1,\\r\\n'
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(map(_inert, columns))
    cells = ([_inert(cell(v), v) for v in column] for column in columns.values())
    writer.writerows(zip(*cells, strict=True))
    return out.getvalue()


def _inert(text: str, value: object = "") -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if isinstance(value, str) and text.startswith(tuple("=+-@\t\r")) else text


def cell(value: Any) -> str:
    """One number or text of a table.

    >>> cell(np.float64(1 / 3)), cell(7), cell(float("nan"))
    ('0.333333', '7', '')
    """
    if isinstance(value, (float, np.floating)):
        return "" if np.isnan(value) else f"{value:.12g}" if value.is_integer() else f"{value:.6g}"
    return str(value)


def chart(
    name: str,
    label: str,
    draw: Callable[[Canvas], Mapping[str, Sequence[str]] | None],
    *,
    width: int = 400,
    height: int = 300,
) -> str:
    """Draw with matplotlib and return SVG text; no global state is touched.

    Args:
        name: prefix of all ids.
        label: what a screen reader says.
        draw: fills the canvas; returns tool tips, gid of a line of markers -> text of each marker.
        width: in CSS pixels.
        height: in CSS pixels.
    """
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the browser has its fonts
        canvas = Canvas(figsize=(width / 72, height / 72), layout="constrained")
        canvas.patch.set_alpha(0.0)
        tips = draw(canvas) or {}
        out = io.StringIO()
        canvas.savefig(
            out,
            format="svg",
            transparent=True,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    return _for_page(out.getvalue(), name, label, width, height, tips)


def open_svg(name: str, label: str, width: float, height: float) -> str:
    """The opening tag of a figure: scalable, named for screen readers."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img" class="figure" '
        f'id="{escape(name)}-svg" aria-label="{escape(label)}">'
    )


def colour(role: str) -> str:
    """A role's colour as CSS: the page's variable, or the light one where there is no page.

    >>> colour("winner")
    'var(--winner, #b3136b)'
    """
    return f"var(--{role}, {COLOURS[role]})"


def _for_page(
    text: str, name: str, label: str, width: int, height: int, tips: Mapping[str, Sequence[str]]
) -> str:
    body = text[text.index(">", text.index("<svg")) + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    body = re.sub(r"\n\s*", "\n", body)
    body = re.sub(r"<[^>]*>", lambda tag: re.sub(r"\d+\.\d{3,}", _short, tag[0]), body)
    body = body.replace("xlink:href", "href")
    for gid, texts in tips.items():
        body = _with_tips(body, gid, texts)
    # ids must differ between the figures of a page
    body = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", body)
    for role, value in COLOURS.items():
        body = body.replace(value, colour(role))
    body = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--sans, sans-serif)", body)
    return open_svg(name, label, width, height) + body.strip()


def _short(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


def _with_tips(body: str, gid: str, texts: Sequence[str]) -> str:
    """Give the markers of one line, in order, a `<title>`; their common style moves up."""
    start = body.find(f'<g id="{gid}">')
    if start < 0:
        return body
    uses = list(re.finditer(r"<use ([^>]*?)\s*/>", body[start:]))[: len(texts)]
    if not uses:
        return body
    shared = re.search(r'\bstyle="([^"]*)"', uses[0][1])
    style = f' style="{shared[1]}"' if shared else ""
    parts, end = [body[:start], f'<g id="{gid}"{style}>'], start + len(f'<g id="{gid}">')
    for use, text in zip(uses, texts, strict=False):
        slim = re.sub(r'\s*style="[^"]*"', "", use[1])
        parts += [
            body[end : start + use.start()],
            f"<use {slim}><title>{escape(text)}</title></use>",
        ]
        end = start + use.end()
    return "".join([*parts, body[end:]])
