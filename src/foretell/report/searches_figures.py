"""Figures of a study of searches: the best value, its test value and its regret on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from foretell.metrics import mean_interval
from foretell.report.display import COLOURS, Display, chart
from foretell.report.marks import legend
from foretell.report.units import plural, short
from foretell.studies.searches import SearchRecord, SearchStudy, checkpoints

Floats = NDArray[np.float64]

_COLOURED = 6
_POINTS = 120  # of a curve, more are not seen
_HOUR = 3_600.0
_FRONTS = 24  # points of their curve


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
    workers = study.settings.get("workers_simulated") or 1
    caption = (
        f"The same over the hours that {plural(int(workers), 'worker')} would have trained, by "
        f"{_seconds(study)}; a curve begins where all its searches have a result, and a search "
        "that has ended keeps its value."
    )
    return _over_hours(study, "hours", "Best validation value in time", caption, False)


def tests_over_hours(study: SearchStudy) -> Display | None:
    """The test value of the best row over those hours."""
    caption = "The test value of the row that was the best at that hour."
    return _over_hours(study, "tests-hours", "Test value of the choice in time", caption, True)


def _over_hours(
    study: SearchStudy, name: str, title: str, caption: str, tests: bool
) -> Display | None:
    records = _records(study, tests, lambda r: bool(r.ended_s))
    ends = [max(r.ended_s) for some in records.values() for r in some]
    if not ends or max(ends) <= 0:
        return None
    firsts = [min(r.ended_s) for some in records.values() for r in some]
    at = np.geomspace(max(float(np.median(firsts)), max(ends) / 1e4), max(ends), _POINTS)
    found = {
        s: np.stack([r.over_time(study.direction, at, tests) for r in some])
        for s, some in records.items()
    }
    return _lines(study, name, title, caption, at / _HOUR, found, "hours", not tests)


def over_epochs(study: SearchStudy) -> Display | None:
    """The same over the epochs of all trainings."""
    caption = (
        "The same over the epochs of all trainings together: what stops some early pays less for "
        "them. Of values after different numbers of epochs those with most count."
    )
    return _over_epochs(study, "epochs", "Best validation value by epochs", caption, False)


def tests_over_epochs(study: SearchStudy) -> Display | None:
    """The test value of the best row over those epochs."""
    caption = "The test value of the row that was the best after so many epochs."
    return _over_epochs(study, "tests-epochs", "Test value of the choice by epochs", caption, True)


def _over_epochs(
    study: SearchStudy, name: str, title: str, caption: str, tests: bool
) -> Display | None:
    whole = int(study.settings.get("epochs") or 0)
    records = _records(study, tests, lambda r: len(r.values) > 0)
    if not whole or not records:
        return None
    ends = [r.spent_epochs(whole)[-1] for some in records.values() for r in some]
    at = np.unique(np.geomspace(max(whole, max(ends) / 100), max(ends), _POINTS).round())
    found = {
        s: np.stack([r.over_epochs(study.direction, at, whole, tests) for r in some])
        for s, some in records.items()
    }
    return _lines(study, name, title, caption, at, found, "epochs", not tests)


def _records(
    study: SearchStudy, tests: bool, known: Callable[[SearchRecord], bool]
) -> dict[str, list[SearchRecord]]:
    """Searches to draw, by strategy."""
    found = {
        s: [r for r in study.of(s) if known(r) and (not tests or len(r.tests) == len(r.values))]
        for s in study.ordered
    }
    return {s: some for s, some in found.items() if some}


def _seconds(study: SearchStudy) -> str:
    measured = study.settings.get("seconds_column") == "measured"
    return "seconds that were measured" if measured else "the table's seconds"


def multiples(study: SearchStudy) -> Display | None:
    """How many times the networks of the first each of the others needs for the same mean."""
    first, at = study.ordered[0], _numbers(study.budget)
    if not study.of(first):
        return None
    means = study.curves(first).mean(axis=0)
    found = {}
    for s in study.ordered[1:]:
        need = [study.needed(s, means[n - 1]) if np.isfinite(means[n - 1]) else None for n in at]
        found[s] = np.array(
            [[np.nan if k is None else k / n for k, n in zip(need, at, strict=True)]]
        )
    caption = (
        f"Networks that a strategy needs, on average, for the mean that {first} has after so many, "
        "as a multiple; a curve ends where the budget did not suffice."
    )
    return _lines(
        study, "multiples", "What others need", caption, at, found, "networks", False, "multiple"
    )


def fronts(study: SearchStudy) -> Display | None:
    """How much of the best front in value and costs has been found."""
    if not study.minimize:
        return None
    at = np.unique(np.geomspace(max(study.budget // 20, 1), study.budget, _FRONTS).round())
    found = {
        s: 100 * study.front_shares(s, at.astype(int).tolist())
        for s in study.ordered
        if len(study.of(s))
    }
    of = "the table" if study.settings.get("front_volume") else "all searches together"
    caption = (
        f"Hypervolume of value and {', '.join(study.minimize)} that a search has covered, as a "
        f"share of what the front of {of} covers, %: mean and 95 % interval."
    )
    return _lines(
        study, "fronts", "Front of value and costs", caption, at, found, "networks", False, "%"
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
    what: str | None = None,
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
        column = "test_column" if name.startswith("tests") else "column"
        ax.set_title(what or str(study.settings.get(column, "")))
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
