"""Figures of a study of searches: the best value, its test value and its regret on the way."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from foretell.metrics import mean_interval
from foretell.report.display import COLOURS, Display, chart
from foretell.report.marks import legend
from foretell.report.units import plural, short
from foretell.studies.searches import SearchStudy, checkpoints

Floats = NDArray[np.float64]

_COLOURED = 6
_POINTS = 120  # of a curve, more are not seen
_HOUR = 3_600.0


def colours(study: SearchStudy) -> dict[str, str]:
    """A colour for each of the strategies that are best at the end; random search is grey."""
    apart = [s for s in study.ordered if s != "random"]
    return {s: f"kind-{i}" for i, s in enumerate(apart[:_COLOURED])}


def over_networks(study: SearchStudy) -> Display | None:
    """The mean best validation value over the number of networks, with the oracle's line."""
    at = _numbers(study.budget)
    found = {s: study.curves(s)[:, at - 1] for s in study.ordered if len(study.of(s))}
    caption = (
        f"Mean over {plural(len(study.seeds), 'seed')} and its 95 % interval (Student's t) of the "
        "best value of the target that a search has seen."
        + (" Dashed: the best of the table." if study.optimum is not None else "")
    )
    return _lines(study, "networks", "Best validation value", caption, at, found, "networks")


def over_hours(study: SearchStudy) -> Display | None:
    """The same over the hours of the simulated clock."""
    records = {s: [r for r in study.of(s) if r.ended_s] for s in study.ordered}
    ends = [max(r.ended_s) for some in records.values() for r in some]
    if not ends or max(ends) <= 0:
        return None
    workers = study.settings.get("workers_simulated") or 1
    firsts = [min(r.ended_s) for some in records.values() for r in some]
    at = np.geomspace(max(float(np.median(firsts)), max(ends) / 1e4), max(ends), _POINTS)
    found = {
        s: np.stack([r.over_time(study.direction, at) for r in some])
        for s, some in records.items()
        if some
    }
    caption = (
        f"The same over the hours that {plural(int(workers), 'worker')} would have trained, by the "
        "table's seconds; a curve begins where all its searches have a result, and a search that "
        "has ended keeps its value."
    )
    return _lines(
        study, "hours", "Best validation value in time", caption, at / _HOUR, found, "hours"
    )


def regret(study: SearchStudy) -> Display | None:
    """How far the mean best value is from the best of the table."""
    if study.optimum is None:
        return None
    at = _numbers(study.budget)
    found = {
        s: study.sign * (study.optimum - study.curves(s)[:, at - 1])
        for s in study.ordered
        if len(study.of(s))
    }
    caption = "The best value of the table less the best seen: mean and 95 % interval."
    return _lines(study, "regret", "Regret", caption, at, found, "networks", oracle=False)


def tests(study: SearchStudy) -> Display | None:
    """The test value of the row with the best validation value."""
    found = {s: study.tests_at(s) for s in study.ordered if len(study.tests_at(s))}
    if not found:
        return None
    at = np.array(checkpoints(study.budget))
    caption = (
        f"{study.settings.get('test_column')} of the row with the best validation value after so "
        "many networks: looked up when the search was over, no search has seen it."
    )
    return _lines(study, "tests", "Test value of the choice", caption, at, found, "networks", False)


def _numbers(budget: int) -> NDArray[np.int64]:
    """Numbers of networks at which curves are drawn."""
    first = max(budget // 20, 1)  # what comes before is luck
    return np.unique(np.geomspace(first, budget, _POINTS).round().astype(np.int64))


def _lines(
    study: SearchStudy,
    name: str,
    title: str,
    caption: str,
    at: NDArray[np.number],
    found: Mapping[str, Floats],
    unit: str,
    oracle: bool = True,
) -> Display | None:
    """Mean and interval of curves (seeds, points) of each strategy."""
    if not found:
        return None
    hue = colours(study)
    rows = [
        (s, float(x), *mean_interval(values[:, j]))
        for s, values in found.items()
        for j, x in enumerate(at)
        if np.isfinite(values[:, j]).all()
    ]
    if not rows:
        return None
    names, xs, means, halves = (list(column) for column in zip(*rows, strict=True))

    def draw(canvas: Canvas) -> dict[str, list[str]]:
        ax = canvas.subplots()
        tips, ends = {}, []
        for i, s in enumerate(found):
            mine = np.array([row[1:] for row in rows if row[0] == s], dtype=np.float64)
            if not len(mine):
                continue
            x, mean, half = mine.T
            colour = COLOURS[hue.get(s, "random")]
            ax.plot(
                x, mean, lw=2.2 if s in hue else 1.3, color=colour, label=short(s, 22),
                marker="o", ms=2.4, gid=f"line-{i}", zorder=4 if s in hue else 3,
            )  # fmt: skip
            low, high = mean - np.nan_to_num(half), mean + np.nan_to_num(half)
            ax.fill_between(x, low, high, color=colour, alpha=0.14, lw=0)
            ends.append(mean[len(mean) // 3 :])
            tips[f"line-{i}"] = [
                f"{s}, {a:.4g} {unit}: {m:.5g}" for a, m in zip(x, mean, strict=True)
            ]
        if oracle and study.optimum is not None:
            ax.axhline(study.optimum, color=COLOURS["muted"], ls=(0, (4, 3)), lw=1.2, zorder=2)
            ends.append(np.array([study.optimum]))
        if ends:  # what happens in the first few networks must not flatten the rest
            shown = np.concatenate(ends)
            pad = 0.06 * max(float(np.ptp(shown)), 1e-12)
            ax.set_ylim(shown.min() - pad, shown.max() + pad)
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.4g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.yaxis.set_major_locator(MaxNLocator(5))
        ax.set_xlabel(unit)
        ax.set_title(str(study.settings.get("test_column" if name == "tests" else "column", "")))
        legend(canvas)
        return tips

    numbers = {"strategy": names, unit: xs, "mean": means, "half95": halves}
    return Display(
        name,
        title,
        caption,
        numbers,
        lambda: chart(name, f"Line plot. {caption}", draw, width=560, height=430),
    )
