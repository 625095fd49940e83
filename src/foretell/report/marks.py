"""What the figures share: marks by phase, axes, legend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import Formatter, MaxNLocator
from numpy.typing import NDArray

from foretell.metrics import bounds
from foretell.report.display import COLOURS, PHASES
from foretell.report.reading import Floats, Run
from foretell.report.units import Metric

_MARKERS = {"sample": "o", "top": "D", "random": "s"}
_ORDER = [*PHASES.values(), "winner"]
_SMALL = 11  # points, of the text of a legend
_WIDE, _HANDLE = 0.62, 48.0  # a letter by its size, and what stands beside a label, in points


def by_phase(
    ax: Any,
    x: Floats,
    y: Floats,
    phase: NDArray[Any],
    ids: NDArray[Any],
    run: Run,
) -> dict[str, list[str]]:
    """Marks in the colour and shape of their phase, `y` the metric; returns their tool tips."""
    tips = {}
    size = float(np.clip(65 / np.sqrt(len(x)), 3.5, 6.5))
    for key in ("random", "sample", "top"):
        part = phase == key
        if part.any():
            gid = f"points-{key}"
            ax.plot(
                x[part],
                bounded(y)[part],
                linestyle="none",
                marker=_MARKERS[key],
                markersize=size - (size > 5 and key == "top"),
                color=COLOURS[key],
                markeredgecolor=COLOURS["card"],
                markeredgewidth=0.6,
                label=PHASES[key],
                gid=gid,
                zorder=3,
                clip_on=False,
            )
            shown = zip(ids[part], y[part], strict=True)
            tips[gid] = [f"#{int(i)}: {run.metric.show(v)}" for i, v in shown]
    return tips


def star(ax: Any, x: Floats, y: Floats) -> None:
    """The winner's mark."""
    ax.plot(
        x,
        y,
        linestyle="none",
        marker="*",
        markersize=15,
        color=COLOURS["winner"],
        markeredgecolor=COLOURS["card"],
        markeredgewidth=1,
        label="winner",
        gid="winner",
        zorder=5,
        clip_on=False,
    )


def floor(values: Floats) -> float:
    """Where an axis starts: a few networks that learned nothing must not flatten the rest.

    The lower quartile less three times the interquartile range, or the smallest value above it.
    """
    known = values[np.isfinite(values)]
    low, high = np.quantile(known, (0.25, 0.75))
    fence = low - 3.0 * (high - low)
    return float(known[known >= fence].min())


def bounded(values: Floats) -> Floats:
    """Values as they are drawn: those below `floor` on the edge of the axis."""
    lowest = floor(values)
    return np.where(values < lowest, lowest - _room(values), values)


def below(values: Floats) -> str:
    """The sentence of a caption that owns up to marks on the edge."""
    n = int((values < floor(values)).sum())
    verb = "lies" if n == 1 else "lie"
    return f" {n} far below {verb} on the lower edge, out of scale." if n else ""


def in_unit(ax: Any, metric: Metric, words: str, which: str = "y", ticks: int = 5) -> None:
    """Make an axis one of the metric: values are drawn as they were measured, and said as shown."""
    side = ax.yaxis if which == "y" else ax.xaxis
    side.set_major_locator(_Within(bounds(metric.name)[1], ticks))
    if metric.scale != 1:
        side.set_major_formatter(_Scaled(metric.scale))
    (ax.set_title if which == "y" else ax.set_xlabel)(metric.axis(words))


class _Within(MaxNLocator):
    """Ticks at values that the metric can have."""

    def __init__(self, upper: float, ticks: int) -> None:
        super().__init__(ticks)
        self._upper = upper

    def tick_values(self, vmin: float, vmax: float) -> Any:
        at = np.asarray(super().tick_values(vmin, vmax))
        return at[at <= self._upper + 1e-9]


class _Scaled(Formatter):
    """Ticks times a factor, all with as many digits as tell them apart."""

    def __init__(self, factor: float) -> None:
        self._factor = factor

    def __call__(self, value: float, pos: int | None = None) -> str:
        return self.format_ticks([value])[0]

    def format_ticks(self, values: Any) -> list[str]:
        shown = np.asarray(values, dtype=np.float64) * self._factor
        exact = (d for d in range(9) if np.allclose(shown, shown.round(d), rtol=0, atol=1e-9))
        digits = next(exact, 9)
        return [f"{value:.{digits}f}" for value in shown]


def limit(ax: Any, values: Floats, which: str = "y") -> None:
    """Limits of one axis, from the values as they are drawn."""
    room = _room(values)
    limits = floor(values) - room, float(np.nanmax(values)) + room
    (ax.set_ylim if which == "y" else ax.set_xlim)(*limits)


def legend(canvas: Canvas) -> None:
    """The legend above a figure, phases first."""
    handles, labels = canvas.axes[0].get_legend_handles_labels()
    pairs = sorted(
        zip(handles, labels, strict=True),
        key=lambda pair: _ORDER.index(pair[1]) if pair[1] in _ORDER else len(_ORDER),
    )
    if len(pairs) > 1:
        canvas.legend(
            [handle for handle, _ in pairs],
            [label for _, label in pairs],
            loc="outside upper left",
            ncols=_columns([label for _, label in pairs], 72 * canvas.get_figwidth()),
            fontsize=_SMALL,
        )


def _columns(labels: Sequence[str], points: float) -> int:
    """How many columns of a legend are no wider than a figure; at most four."""
    wide = np.array([_HANDLE + _WIDE * _SMALL * len(label) for label in labels])
    for count in (4, 3, 2):
        parts = [part for part in np.array_split(wide, count) if len(part)]  # as they are filled
        if sum(part.max() for part in parts) <= points:
            return count
    return 1


def _room(values: Floats) -> float:
    low, high = floor(values), float(np.nanmax(values))
    if high - low > 1e-6 * max(abs(low), abs(high)):
        return 0.06 * (high - low)
    return max(abs(high) * 0.01, 1e-6)  # all the same but for rounding
