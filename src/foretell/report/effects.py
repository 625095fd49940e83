"""What each decision contributes: main effects measured, and what the best predicted share."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from foretell.errors import SpaceError
from foretell.metrics import mean_interval
from foretell.report.display import COLOURS, Column, Display, chart
from foretell.report.marks import in_unit
from foretell.report.reading import Floats, Run
from foretell.report.units import Metric, plural, short
from foretell.spaces.base import Rows

_ROWS = 32  # lines of the figure; all of them are in its numbers
_BEST = 100  # best predicted networks whose options are counted


@dataclass(frozen=True)
class Effects:
    """One line an option of a decision, decisions by what they explain, most first.

    Shapes: all (k,) for k options in total. `mean` and `half` (half width of the 95 % Student-t
    interval) are NaN below one and below two networks; `share` is the part of the best predicted
    networks with that decision that take the option, NaN without a ranking.
    """

    decision: list[str]
    option: list[str]
    n: NDArray[np.int64]
    mean: Floats
    half: Floats
    share: Floats
    explained: Floats  # of the decision


def main_effects(run: Run) -> Effects | None:
    """Mean value of the networks that take an option, one option a line; None where all are equal.

    Only sampled networks count (phases "sample" and "random"): the predicted best are alike by
    choice. A decision explains epsilon^2 = (SS_between - (k - 1) MS_within) / SS_total
    of the variance, which is 0 on average for a decision without effect, and is cut off at 0.

    References: Kelley 1935 for epsilon squared.
    """
    trials = run.of("sample", "random")
    X, space = run.rows(trials), run.space
    if X is None or space is None or len(trials) < 4:
        return None
    y = np.array([trial.value for trial in trials])
    if np.ptp(y) == 0:
        return None
    active, best = space.active(X), _best_rows(run)
    best_active = None if best is None else space.active(best)
    lines = []
    for j, one in enumerate(space.choices):
        if len(one.options) < 2:
            continue
        column, values = X[active[:, j], j], y[active[:, j]]
        explained = _epsilon_squared(column, values)
        for k, option in enumerate(one.options):
            taken = values[column == k]
            mean, half = mean_interval(taken) if len(taken) else (np.nan, np.nan)
            share = np.nan
            if best is not None and best_active is not None and best_active[:, j].any():
                share = float(np.mean(best[best_active[:, j], j] == k))
            lines.append((-explained, j, one.name, str(option), len(taken), mean, half, share))
    lines.sort(key=lambda line: line[:2])
    if not lines:
        return None
    less, _, decision, option, n, means, halves, shares = map(list, zip(*lines, strict=True))
    return Effects(
        decision=decision,
        option=option,
        n=np.array(n),
        mean=np.array(means),
        half=np.array(halves),
        share=np.array(shares),
        explained=-np.array(less),
    )


def _best_rows(run: Run) -> Rows | None:
    archs = run.ranking.get("arch", [])[:_BEST]
    if run.space is None or not archs:
        return None
    try:
        return run.space.from_str(archs)
    except SpaceError:
        return None


def _epsilon_squared(column: NDArray[np.integer], y: Floats) -> float:
    used, group = np.unique(column, return_inverse=True)
    if len(used) < 2 or len(y) <= len(used) or np.ptp(y) == 0:
        return 0.0
    total = float(((y - y.mean()) ** 2).sum())
    n = np.bincount(group)
    within = float(((y - (np.bincount(group, y) / n)[group]) ** 2).sum())
    mean_square = within / (len(y) - len(used))
    return max(0.0, (total - within - (len(used) - 1) * mean_square) / total)


def effects(run: Run) -> Display | None:
    """Main effects and shares as a figure."""
    found = main_effects(run)
    if found is None:
        return None
    trials = run.of("sample", "random")
    dots = _Dots(found, run.metric, float(np.mean([trial.value for trial in trials])))
    caption = _caption(dots, len(trials), len(run.ranking["arch"]) if dots.known else 0)
    numbers: dict[str, Column] = {
        "decision": found.decision,
        "option": found.option,
        "n": found.n,
        f"mean_{run.metric.name}": found.mean,
        "half_interval_95": found.half,
        "share_of_best_predicted": found.share,
        "explained": found.explained,
    }
    label = f"Dot plot of main effects of {plural(len(set(found.decision)), 'decision')}. {caption}"
    return Display(
        "effects",
        "What each decision contributes",
        caption,
        numbers,
        lambda: chart("effects", label, dots.draw, width=420, height=dots.height),
    )


def _caption(dots: _Dots, trials: int, ranked: int) -> str:
    hidden = len(set(dots.found.decision)) - len(dots.heads)
    return (
        f"{'Left: mean' if dots.known else 'Mean'} {dots.metric.label} of the networks that take "
        f"an option, with its 95 % interval, over the {trials} sampled ones (how many, in "
        "brackets); the vertical line is the mean of all. Hollow marks rest on one or two networks "
        "and have no interval. Where intervals overlap, so few networks do not tell the options "
        "apart."
        + (
            f" Right: how many of the {min(_BEST, ranked)} best predicted "
            "networks take it; the tick is an even share."
            if dots.known
            else ""
        )
        + " The percentage beside a decision is the part of the variance it explains (epsilon "
        "squared, corrected for chance), by which decisions are sorted."
        + (f" {plural(hidden, 'decision')} that explain less: in the numbers." if hidden else "")
    )


class _Dots:
    """The drawing: a line an option, below a line with the name of its decision."""

    def __init__(self, found: Effects, metric: Metric, average: float) -> None:
        self.found, self.metric, self.average = found, metric, average
        self.known = bool(np.isfinite(found.share).any())  # which are the best predicted
        self.index = np.array(_lines(found))
        self.at = np.empty(len(found.option))  # where each option is, from above
        self.heads: dict[int, float] = {}  # first option of a decision -> where its name is
        lines = itertools.count()
        for i in self.index.tolist():
            if i == 0 or found.decision[i] != found.decision[i - 1]:
                self.heads[i] = float(next(lines))
            self.at[i] = next(lines)
        self.height = 70 + 21 * next(lines)

    def draw(self, canvas: Canvas) -> None:
        """Means on the left and, where they are known, shares of the best on the right."""
        left, *rest = canvas.subplots(
            1, 1 + self.known, sharey=True, width_ratios=[5, 2][: 1 + self.known], squeeze=False
        )[0]
        self._means(left)
        self._names(left)
        for right in rest:
            self._shares(right)

    def _means(self, ax: Axes) -> None:
        found, at, index = self.found, self.at, self.index
        many, some = index[found.n[index] > 2], index[(found.n[index] > 0) & (found.n[index] < 3)]
        ax.axvline(self.average, color=COLOURS["muted"], lw=1)
        ax.errorbar(
            found.mean[many],
            at[many],
            xerr=found.half[many],
            fmt="none",
            ecolor=COLOURS["sample"],
            elinewidth=2,
            alpha=0.55,
        )
        for part, fill, gid in ((many, "sample", "means"), (some, "card", "means-few")):
            ax.plot(
                found.mean[part],
                at[part],
                linestyle="none",
                marker="o",
                markersize=7,
                markerfacecolor=COLOURS[fill],
                markeredgecolor=COLOURS["sample"],
                gid=gid,
            )
        _window(ax, found, index)

    def _names(self, ax: Axes) -> None:
        found, index = self.found, self.index
        ax.set_yticks(
            self.at[index], [f"{short(found.option[i], 20)} ({found.n[i]})" for i in index]
        )
        ax.set_ylim(self.at[index[-1]] + 0.8, -0.8)
        ax.tick_params(axis="y", colors=COLOURS["ink"])
        ax.grid(visible=False, axis="y")
        in_unit(ax, self.metric, self.metric.label, "x", ticks=4)
        for i, y in self.heads.items():
            ax.annotate(
                f"{short(found.decision[i], 20)} · {found.explained[i] * 100:.0f} %",
                (0, y),
                xycoords=("axes fraction", "data"),
                xytext=(-6, 0),
                textcoords="offset points",
                ha="right",
                va="center",
                fontweight="bold",
                annotation_clip=False,
            )

    def _shares(self, ax: Axes) -> None:
        found, at = self.found, self.at[self.index]
        share = np.nan_to_num(found.share[self.index]) * 100
        ax.barh(at, share, height=0.6, color=COLOURS["top"])
        options = np.array([found.decision.count(found.decision[i]) for i in self.index])
        ax.plot(
            100 / options, at, linestyle="none", marker="|", markersize=11, color=COLOURS["ink"]
        )
        ax.set_xlim(0, 100)
        ax.set_xticks([0, 50, 100])
        ax.grid(visible=False, axis="y")
        ax.set_xlabel("of best, %")


def _lines(found: Effects) -> list[int]:
    """Lines that are drawn: whole decisions, up to `_ROWS`; few of those that explain nothing."""
    shown: list[int] = []
    for name in dict.fromkeys(found.decision):
        lines = [i for i, one in enumerate(found.decision) if one == name]
        room = _ROWS if found.explained[lines[0]] >= 0.005 else _ROWS // 2
        if shown and len(shown) + len(lines) > room:
            break
        shown += lines
    return shown


def _window(ax: Axes, found: Effects, index: NDArray[np.intp]) -> None:
    """Limits from the means and at most their own span around them; long whiskers are cut."""
    mean, half = found.mean[index], np.nan_to_num(found.half[index])
    known = np.isfinite(mean)
    if not known.any():
        return
    low, high = mean[known].min(), mean[known].max()
    span = max(high - low, 1e-3 * (abs(high) or 1))
    low = max(low - span, (mean - half)[known].min())
    high = min(high + span, (mean + half)[known].max())
    room = 0.05 * max(high - low, span)
    ax.set_xlim(low - room, high + room)
