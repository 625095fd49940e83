"""Figures of a study of predictors: tau over training size, who is best when, ranks, coverage."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, NullFormatter, NullLocator

from foretell.metrics import mean_interval
from foretell.report.display import COLOURS, Display, chart
from foretell.report.marks import legend, limit
from foretell.report.units import plural, short
from foretell.studies._predictor_study import PredictorStudy, Ranking, baselines
from foretell.studies._scoring import LEVELS
from foretell.studies._significance import cliques

_KINDS = 6  # colours for predictors
_BUDGETS = 8  # most columns of a heat map


def roles(names: Iterable[str]) -> dict[str, str]:
    """A colour for each of the first few names that are no baselines."""
    apart = [name for name in names if name not in baselines()]
    return {name: f"kind-{i}" for i, name in enumerate(apart[:_KINDS])}


def over_sizes(study: PredictorStudy) -> Display | None:
    """Kendall's tau over the training size, with intervals."""
    if len(study.failed) == len(study.records):
        return None
    colour = roles(study.names)
    sizes = np.array(study.sizes)
    found = {
        p: np.array([mean_interval(study.values(p, n) or [np.nan]) for n in study.sizes])
        for p in study.names
    }
    caption = (
        f"Mean over {plural(len(study.seeds), 'seed')} with its 95 % interval (Student's t). In "
        f"colour the {plural(len(colour), 'predictor')} with the highest tau at the largest size; "
        "others in grey, baselines dashed, where they are in the range of those."
    )

    def draw(canvas: Canvas) -> dict[str, list[str]]:
        ax = canvas.subplots()
        tips = {}
        for i, (p, values) in enumerate(found.items()):
            front = p in colour
            hue = COLOURS[colour.get(p, "random")]
            dashed = p in baselines()
            # apart from each other, so that intervals can be seen
            at = sizes * 1.012 ** (list(colour).index(p) - (len(colour) - 1) / 2 if front else 0)
            ax.plot(
                at,
                values[:, 0],
                ls="--" if dashed else "-",
                marker="o",
                ms=5 if front else 3,
                lw=2.2 if front else 1.1,
                color=hue,
                alpha=1.0 if front else 0.6,
                label=short(p, 16) if front else None,
                zorder=3 if front else 2,
                gid=f"line-{i}",
            )
            if front:
                half = np.nan_to_num(values[:, 1])
                ax.errorbar(at, values[:, 0], yerr=half, fmt="none", ecolor=hue, elinewidth=1.2)
            tips[f"line-{i}"] = [
                f"{p}, n = {n}: {m:.3f}" for n, (m, _) in zip(sizes, values, strict=True)
            ]
        if len(sizes) > 1:
            ax.set_xscale("log")
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_xticks(sizes, [str(n) for n in sizes])
        limit(ax, np.concatenate([found[p][:, 0] for p in colour or found]))
        ax.yaxis.set_major_locator(MaxNLocator(5))
        ax.set_xlabel("training rows")
        ax.set_title("Kendall tau")
        legend(canvas)
        return tips

    rows = [
        (p, int(n), m, half)
        for p, values in found.items()
        for n, (m, half) in zip(sizes, values, strict=True)
    ]
    names, ns, means, halves = (list(column) for column in zip(*rows, strict=True))
    numbers = {"predictor": names, "n_train": ns, "kendall": means, "half95": halves}
    return Display(
        "sizes",
        "Rank correlation over training size",
        caption,
        numbers,
        lambda: chart("sizes", f"Line plot. {caption}", draw, width=560, height=430),
    )


def heat(study: PredictorStudy, *, fitting: bool) -> Display | None:
    """The best predictor within a time, for each training size.

    Args:
        study: with a mean tau and seconds for each predictor.
        fitting: whether the time is that of fitting and querying all test rows, or that of one
            thousand queries alone.
    """
    cost = {
        (p, n): _seconds(study, p, n, fitting)
        for p in study.names
        for n in study.sizes
        if study.mean(p, n) > 0  # what ranks nothing is no choice
    }
    if not cost:
        return None
    budgets = _budgets(list(cost.values()))
    best: dict[tuple[int, float], tuple[str, float]] = {}
    for n in study.sizes:
        for budget in budgets:
            inside = [p for p in study.names if cost.get((p, n), np.inf) <= budget]
            if inside:
                first = max(inside, key=lambda p: study.mean(p, n))
                best[n, budget] = first, study.mean(first, n)
    wins = list(dict.fromkeys(name for name, _ in best.values()))
    wins.sort(key=lambda p: -sum(name == p for name, _ in best.values()))
    colour = roles(wins)
    what = "seconds to fit and to query all test rows" if fitting else "seconds for 1,000 queries"
    caption = (
        "Predictor with the highest mean tau among those that take no longer, and its tau. Times "
        "are processor seconds of one thread"
        + (", without tuning." if fitting and study.settings.get("tune") else ".")
    )
    taus = [tau for p, tau in best.values() if p in colour] or [0.0]
    low, high = min(taus), max(taus)

    def draw(canvas: Canvas) -> None:
        ax = canvas.subplots()
        for (n, budget), (p, tau) in best.items():
            x, y = budgets.index(budget), study.sizes.index(n)
            strength = 0.2 + 0.5 * float(np.clip((tau - low) / max(high - low, 1e-9), 0, 1))
            hue = COLOURS[colour.get(p, "random")]
            ax.add_patch(Rectangle((x, y), 1, 1, facecolor=hue, alpha=strength, lw=0))
            words = "\n".join([*textwrap.wrap(short(p, 24), 9), f"{tau:.2f}"])
            size = 11 if len(p) < 8 else 9
            ax.text(x + 0.5, y + 0.5, words, ha="center", va="center", fontsize=size)
        ax.set_xlim(0, len(budgets))
        ax.set_ylim(0, len(study.sizes))
        ax.set_xticks(np.arange(len(budgets)) + 0.5, [_short_time(b) for b in budgets])
        ax.set_yticks(np.arange(len(study.sizes)) + 0.5, [str(n) for n in study.sizes])
        ax.grid(visible=False)
        ax.set_xlabel(f"at most so many {what}")
        ax.set_title("training rows")

    name = "heat-total" if fitting else "heat-query"
    columns: dict[str, Any] = {
        "n_train": [n for n, _ in best],
        "at_most_s": [b for _, b in best],
        "predictor": [p for p, _ in best.values()],
        "kendall": [tau for _, tau in best.values()],
    }
    return Display(
        name,
        "Time to fit and query" if fitting else "Time to query",
        caption,
        columns,
        lambda: chart(
            name,
            f"Heat map. {caption}",
            draw,
            width=560,
            height=90 + 56 * len(study.sizes),
        ),
    )


def _seconds(study: PredictorStudy, p: str, n: int, fitting: bool) -> float:
    if fitting:
        return study.mean(p, n, "fit_s") + study.mean(p, n, "query_s")
    tests = [r.n_test for r in study.records if r.n_test]
    return 1_000 * study.mean(p, n, "query_s") / max(tests)


def _budgets(seconds: list[float]) -> list[float]:
    """Round numbers of seconds, the first one that some predictor keeps to one that all keep."""
    steps = [float(f"{mantissa}e{k}") for k in range(-4, 7) for mantissa in (1, 3)]
    low = next(i for i, step in enumerate(steps) if step >= min(seconds))
    high = next((i for i, step in enumerate(steps) if step >= max(seconds)), len(steps) - 1)
    return steps[max(low, high - _BUDGETS + 1) : high + 1]


def _short_time(seconds: float) -> str:
    """Seconds for an axis.

    >>> _short_time(0.003), _short_time(3.0), _short_time(300.0)
    ('3 ms', '3 s', '5 min')
    """
    if seconds < 1:
        return f"{seconds * 1000:g} ms"
    return f"{seconds:g} s" if seconds < 100 else f"{seconds / 60:.3g} min"


def differences(found: Ranking) -> Display:
    """The critical-difference diagram: mean ranks, and bars over what cannot be told apart."""
    k = len(found.names)
    groups = cliques(found.ranks, found.difference)
    half = (k + 1) // 2
    caption = (
        "Mean rank over training sizes and seeds, 1 is best. Predictors under one bar cannot be "
        f"told apart: their ranks are nearer than the critical difference, {found.difference:.2f}."
    )

    def draw(canvas: Canvas) -> None:
        ax = canvas.subplots()
        ax.set_axis_off()
        bars = 0.7 + 0.42 * np.arange(len(groups))
        top = (bars[-1] if len(groups) else 0.2) + 0.7
        left, right = 1 - 0.12 * (k - 1), k + 0.12 * (k - 1)
        ax.plot([1, k], [0, 0], color=COLOURS["ink"], lw=1.4)
        step = max(1, round(k / 10))
        for tick in sorted({1, *range(2 * step, k - step // 2, step), k}):
            ax.plot([tick, tick], [0, -0.25], color=COLOURS["ink"], lw=1.2)
            ax.text(tick, -0.4, str(tick), ha="center", va="bottom", fontsize=10)
        width = min(found.difference, k - 1)
        ax.plot([1, 1 + width], [-1.7, -1.7], color=COLOURS["winner"], lw=2)
        for end in (1, 1 + width):
            ax.plot([end, end], [-1.9, -1.5], color=COLOURS["winner"], lw=2)
        ax.text(
            1 + width / 2, -2.0, f"critical difference {found.difference:.2f}",
            ha="center", va="bottom", fontsize=10,
        )  # fmt: skip
        pad = 0.004 * (k - 1)
        for (i, j), y in zip(groups, bars, strict=True):
            ends = [found.ranks[i] - pad, found.ranks[j] + pad]
            ax.plot(ends, [y, y], color=COLOURS["ink"], lw=3.2, solid_capstyle="round")
        for i, (name, rank) in enumerate(zip(found.names, found.ranks, strict=True)):
            first = i < half
            y = top + 0.95 * (i if first else k - 1 - i)
            end = left if first else right
            role = "muted" if name in baselines() else "sample"
            ax.plot([rank, rank, end], [0, y, y], color=COLOURS[role], lw=1.1)
            ax.plot(rank, 0, "o", ms=4, color=COLOURS[role])
            words = f"{short(name, 20)}  {rank:.1f}" if first else f"{rank:.1f}  {short(name, 20)}"
            ax.text(
                end + (-pad if first else pad) * 3, y, words,
                ha="right" if first else "left", va="center", fontsize=11,
            )  # fmt: skip
        ax.set_ylim(top + 0.95 * half, -2.8)
        span = right - left
        ax.set_xlim(left - 0.3 * span, right + 0.3 * span)

    return Display(
        "ranks",
        "Critical differences",
        caption,
        {"predictor": found.names, "mean_rank": found.ranks},
        lambda: chart(
            "ranks",
            f"Critical-difference diagram. {caption}",
            draw,
            width=640,
            height=round(110 + 12 * len(groups) + 22 * half),
        ),
    )


def calibration(study: PredictorStudy) -> Display | None:
    """Share of true values inside central intervals over their level."""
    if not study.calibrated:
        return None
    n = study.sizes[-1]
    levels = np.array(LEVELS)
    names = [f"coverage_{round(100 * level)}" for level in LEVELS]
    found = {p: np.array([study.mean(p, n, s) for s in names]) for p in study.calibrated}
    shown = [p for p in study.names if p in found]
    colour = roles(shown)
    caption = (
        f"Share of test rows inside the central interval of each level at n = {n}, mean over the "
        "seeds. On the dashed line intervals are as wide as they say; below it they are too "
        f"narrow. In colour the {plural(len(colour), 'predictor')} with the highest tau."
    )

    def draw(canvas: Canvas) -> dict[str, list[str]]:
        ax = canvas.subplots()
        ax.plot([0, 1], [0, 1], color=COLOURS["ink"], ls="--", lw=1.2)
        tips = {}
        for i, p in enumerate(shown):
            front = p in colour
            ax.plot(
                levels,
                found[p],
                marker="o",
                ms=5 if front else 3,
                lw=2 if front else 1,
                color=COLOURS[colour.get(p, "random")],
                alpha=1.0 if front else 0.6,
                label=short(p, 16) if front else None,
                zorder=3 if front else 2,
                gid=f"line-{i}",
            )
            tips[f"line-{i}"] = [
                f"{p}: {v:.0%} in the {level:.0%} interval"
                for level, v in zip(levels, found[p], strict=True)
            ]
        ax.set_xlim(0.45, 1.0)
        ax.set_ylim(0.0, 1.02)
        ax.set_xticks(levels, [f"{level:.0%}" for level in levels])
        ax.set_yticks(np.arange(0, 1.01, 0.2), [f"{v:.0%}" for v in np.arange(0, 1.01, 0.2)])
        ax.set_xlabel("level of the interval")
        ax.set_title("true values inside")
        legend(canvas)
        return tips

    return Display(
        "calibration",
        "Calibration",
        caption,
        {
            "predictor": [p for p in found for _ in levels],
            "level": [float(level) for _ in found for level in levels],
            "inside": [float(v) for values in found.values() for v in values],
        },
        lambda: chart("calibration", f"Line plot. {caption}", draw, width=480, height=430),
    )
