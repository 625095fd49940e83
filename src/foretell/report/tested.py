"""What the winner says of the test rows: intervals, a regression's true against predicted values,
pictures of the data and of mistakes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator
from scipy import stats

from foretell import metrics, typed
from foretell._rng import stream
from foretell.errors import RunError
from foretell.frame import columns_of
from foretell.report.display import COLOURS, Display, chart
from foretell.report.html import Html, h, join
from foretell.report.reading import Floats, Run, numbers
from foretell.report.units import plural

_DRAWN = 2000  # marks of one figure
_RESAMPLED = 1000
_TARGETS = 6  # that are drawn
_PICTURE = re.compile(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=]+").fullmatch


@dataclass(frozen=True)
class _Some:
    label: str = ""
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Wrong:
    name: str = ""
    label: str = ""
    said: str = ""
    probability: float = 0.0
    picture: str = ""


@dataclass(frozen=True)
class Examples:
    """examples.json."""

    some: tuple[_Some, ...] = ()
    wrong: tuple[_Wrong, ...] = ()


def said_interval(run: Run) -> str:
    """The 95 % interval of the winner's test metric in words; "" where it cannot be had.

    Of an accuracy Wilson's; of R² by drawing the test rows again with replacement.
    """
    final = run.final
    value = final.metrics.get(run.metric.on("test")) if final else None
    n = run.record.data.sizes.get("test", 0)
    if value is None or not np.isfinite(value) or n < 2:
        return ""
    if run.metric.kind == "acc" and 0 <= value <= 1:
        low, high = metrics.share_interval(value * n, n)
    elif run.metric.kind == "r2" and (pairs := _values(run)):
        low, high = _resampled(pairs)
    else:
        return ""
    between = f"{run.metric.show(low).removesuffix(run.metric.unit)} to {run.metric.show(high)}"
    return f"95 % interval {between}"


def true_predicted(run: Run) -> list[Display]:
    """What test rows have against what the winner says of them, a figure a target."""
    return [_figure(run, name, *pair) for name, *pair in _values(run)[:_TARGETS]]


def _figure(run: Run, name: str, true: Floats, said: Floats) -> Display:
    off = said - true
    r2 = 1 - np.sum(off**2) / np.sum((true - true.mean()) ** 2) if np.ptp(true) else np.nan
    rank = stats.spearmanr(true, said)[0] if np.ptp(true) and np.ptp(said) else np.nan
    caption = (
        f"{plural(len(true), 'test row')}: half of them are off by less than "
        f"{np.median(np.abs(off)):.3g}, nine in ten by less than "
        f"{np.quantile(np.abs(off), 0.9):.3g}."
        + (f" R² {r2:.3f}, rank correlation {rank:.2f}." if np.isfinite([r2, rank]).all() else "")
        + " On the dashed line both are equal."
    )
    shown = slice(None, None, -(-len(true) // _DRAWN))
    word = f"test-{re.sub('[^A-Za-z0-9]+', '-', name)[:30]}"

    def draw(canvas: Canvas) -> None:
        ax = canvas.subplots()
        ax.plot(
            true[shown], said[shown], linestyle="none", marker="o", color=COLOURS["winner"],
            markersize=float(np.clip(65 / np.sqrt(len(true)), 3, 6.5)),
            markeredgecolor=COLOURS["card"], markeredgewidth=0.5, alpha=0.75, gid="rows",
        )  # fmt: skip
        ax.axline((0, 0), slope=1, color=COLOURS["muted"], ls=(0, (4, 3)), lw=1, zorder=1)
        for side in (ax.xaxis, ax.yaxis):
            side.set_major_locator(MaxNLocator(5))
        every = np.concatenate([true[shown], said[shown]])
        room = 0.04 * (np.ptp(every) or 1.0)
        ax.set_xlim(every.min() - room, every.max() + room)
        ax.set_ylim(every.min() - room, every.max() + room)
        ax.set_xlabel(f"true {name}"[:60])
        ax.set_title(f"predicted {name}"[:60])

    return Display(
        word,
        f"{name}: true and predicted",
        caption,
        {f"true {name}": true, f"predicted {name}": said},
        lambda: chart(word, f"Scatter plot. {caption}", draw),
    )


def examples(run: Run) -> Examples:
    """The pictures that the run has left; none where there are none, or the file is damaged."""
    path = run.folder / "examples.json"
    try:
        if not path.is_file():
            return Examples()
        raw = typed.load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Examples()
    if not isinstance(raw, dict):
        return Examples()
    return typed.Reader(path, []).record(Examples, raw)


def samples(run: Run) -> Html | None:
    """Some training examples of each class."""
    rows = [
        h("div", h("span", one.label, class_="label") if one.label else None, shown)
        for one in examples(run).some
        if (shown := [_image(url, one.label) for url in one.pictures if _PICTURE(url)])
    ]
    if not rows:
        return None
    left = len(run.record.data.labels) - len(rows)
    more = f"; {left} more are not shown" if left > 0 and len(rows) > 1 else ""
    words = f"Training examples as the networks see them, in small{more}."
    return join([h("h3", "Examples"), h("p", words, class_="small"),
                 h("div", rows, class_="samples")])  # fmt: skip


def mistakes(run: Run) -> Html | None:
    """Test images that the winner is wrong about, the surest first."""
    wrong = [one for one in examples(run).wrong if _PICTURE(one.picture)]
    if not wrong:
        return None
    cards = [
        h(
            "figure",
            _image(one.picture, one.name),
            h(
                "figcaption",
                h("span", h("b", one.said), f" {100 * one.probability:.0f}\u00a0%"),
                h("span", f"is {one.label}"),
                h("span", one.name, class_="small"),
            ),
        )
        for one in wrong
    ]
    words = (
        f"{plural(len(wrong), 'test image')} that it is wrong about, the surest first: what it "
        "says, and what the label says. Labels may be wrong too."
    )
    return join([h("h3", "Its surest mistakes"), h("p", words), h("div", cards, class_="mistakes")])


def _image(url: str, name: str) -> Html:
    return h("img", src=url, alt=name, loading="lazy")


def _values(run: Run) -> list[tuple[str, Floats, Floats]]:
    """Name, true and predicted values of each target of a regression."""
    if run.record.data.task != "regression":
        return []
    found = _columns(run.folder / "tested.csv")
    out = []
    for name, texts in found.items():
        other = f"said {name.removeprefix('is ')}"
        if not name.startswith("is ") or other not in found:
            continue
        true, said = numbers(texts), numbers(found[other])
        known = np.isfinite(true) & np.isfinite(said)
        if known.sum() > 1:
            out.append((name.removeprefix("is "), true[known], said[known]))
    return out


def _columns(path: Path) -> dict[str, list[str]]:
    try:
        return columns_of(path) if path.is_file() else {}
    except RunError:
        return {}


def _resampled(pairs: Sequence[tuple[str, Floats, Floats]]) -> tuple[float, float]:
    """95 % interval of the mean R² over the targets, by drawing rows with replacement."""
    rng = stream(0, "report", "r2")
    n = min(len(true) for _, true, _ in pairs)
    values = []
    for _ in range(_RESAMPLED):
        rows = rng.integers(n, size=n)
        each = []
        for _, true, said in pairs:
            spread = np.sum((true[rows] - true[rows].mean()) ** 2)
            each.append(1 - np.sum((said[rows] - true[rows]) ** 2) / spread if spread else np.nan)
        values.append(float(np.mean(each)))
    known = np.array(values)[np.isfinite(values)]
    low, high = np.quantile(known, (0.025, 0.975)) if len(known) else (np.nan, np.nan)
    return float(low), float(high)
