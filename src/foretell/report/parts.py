"""Pieces of the page that several sections use."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

import numpy as np

from foretell.report.display import Display, cell
from foretell.report.html import Child, Html, h, join

_LISTED = 60  # rows of a figure's numbers that are shown beside the download
_LONG = 2000  # letters of a setting that are shown


def figures(displays: Iterable[Display | None]) -> Html | None:
    """Figures beside each other; a lone one has its words beside it and the section's title."""
    shown = [display for display in displays if display is not None]
    many = len(shown) > 1
    parts = [figure(display, title=many) for display in shown]
    return h("div", parts, class_="grid" if many else "grid one") if shown else None


def figure(display: Display, *, title: bool, more: Html | None = None) -> Html:
    """A figure, its caption (and `more` below it) and its numbers."""
    return h(
        "figure",
        h("h3", display.title) if title else None,
        Html(display.svg()),
        h("figcaption", h("p", display.caption), more),
        numbers_of(display),
    )


def numbers_of(display: Display) -> Html:
    """The numbers of a figure, to unfold and to download."""
    frame = display.frame()
    total = len(next(iter(frame.values()), []))
    rows = [[cell(column[i]) for column in frame.values()] for i in range(min(total, _LISTED))]
    more = f"The first {_LISTED} of {total:,} rows. " if total > _LISTED else ""
    return h(
        "details",
        h("summary", "Numbers"),
        h("p", more, download(f"{display.name}.csv", display.csv())),
        table(list(frame), [h("tr", [h("td", text) for text in row]) for row in rows], tall=True),
        class_="numbers",
    )


def download(name: str, text: str) -> Html:
    """A link that saves `text` as a CSV file; the file is in the link."""
    uri = "data:text/csv;charset=utf-8," + quote(text, safe=",:;=|~+@()*!/", errors="replace")
    return h("a", f"Download {name}", href=uri, download=name)


def table(heads: Iterable[str], rows: Iterable[Html], *, tall: bool = False) -> Html:
    """A table that scrolls in itself where it is too wide, or with `tall` too long."""
    head = h("thead", h("tr", [h("th", text, scope="col") for text in heads]))
    return scroll(h("table", head, h("tbody", rows)), tall=tall)


def scroll(inner: Html, *, tall: bool = False) -> Html:
    """A box that scrolls; by keyboard too."""
    return h("div", inner, class_="scroll tall" if tall else "scroll", tabindex="0")


def settings_table(values: Mapping[str, Any], caption: str | None = None) -> Html | None:
    """Names and values, a row each."""
    rows = [h("tr", h("th", str(k), scope="row"), h("td", plain(v))) for k, v in values.items()]
    head = h("caption", caption) if caption else None
    return scroll(h("table", head, h("tbody", rows))) if rows else None


def plain(value: object) -> str:
    """A setting as text."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONG else text[: _LONG - 1] + "…"


def architecture(text: str) -> Html:
    """An architecture's string, with places where a line may break."""
    return h("code", [[part, h("wbr")] for part in re.split(r"(?<=[+,])", text)])


def with_code(text: str) -> Html:
    """Text whose parts between backticks are code.

    >>> with_code("raise `--epochs`")
    'raise <code>--epochs</code>'
    """
    parts = text.split("`")
    return join(h("code", part) if i % 2 else part for i, part in enumerate(parts))


def tile(label: str, value: str, note: str) -> Html:
    """One big number."""
    words = h("span", label, class_="label"), h("strong", value), h("span", note, class_="sub")
    return h("div", words, class_="tile")


def facts(pairs: Iterable[tuple[str, object]]) -> Html:
    """Terms and what they are; those without a value are left out."""
    lines = [
        h("div", h("dt", term), h("dd", plain(value)))
        for term, value in pairs
        if value not in (None, "")
    ]
    return h("dl", lines, class_="facts")


def sortable(value: float, *children: Child) -> Html:
    """A cell of a number that the page's script sorts by; without a number it stays last."""
    key = f"{value:.9g}" if np.isfinite(value) else ""
    return h("td", children, class_="number", data_value=key)
