"""Every trained network as a mark: against its prediction, over its cost, in its turn."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from foretell.metrics import bounds, kendall
from foretell.pareto import nondominated
from foretell.report.display import COLOURS, PHASES, Display, chart
from foretell.report.marks import below, bounded, by_phase, in_unit, legend, limit, star
from foretell.report.reading import Run, numbers
from foretell.report.units import MISSING, plural, seconds, tick
from foretell.runs.bounds import same_unit, within

COSTS = {"params": "parameters", "flops": "flops of one input", "seconds": "training time"}
_LABELS = {**COSTS, "latency_ms": "latency, ms"}


def predicted_measured(run: Run) -> Display | None:
    """What was predicted before a network was trained, against what training gave."""
    phase = np.array(run.predictions.get("phase", []))
    predicted = numbers(run.predictions.get("predicted", []))
    measured = numbers(run.predictions.get("measured", []))
    early = [trial.id for trial in run.stopped]
    ids = numbers(run.predictions.get("id", []))
    if not len(phase) == len(predicted) == len(measured) == len(ids):  # damaged
        return None
    both = np.isfinite(predicted) & np.isfinite(measured) & np.isfinite(ids)
    both &= ~np.isin(ids, early)
    if both.sum() < 2:
        return None
    ids = ids[both]
    phase, predicted, measured = phase[both], predicted[both], measured[both]
    if (predicted > bounds(run.metric.name)[1]).any():  # a run of an older version
        predicted, _ = within(run.metric.name, measured, predicted)
    alike = same_unit(predicted, measured)
    said = []
    for key in ("sample", "top"):
        part = phase == key
        if part.sum() > 2:
            tau = kendall(measured[part], predicted[part])
            said.append(f"{tau:.2f} over the {part.sum()} {PHASES[key]}")
    taus = f"Kendall tau {', '.join(said)}." if said else "Too few for a rank correlation."
    caption = (
        f"{taus} Each prediction was made without its network's result: out of fold for the "
        "sampled, before training for the predicted best. The predicted best are alike by choice, "
        "so even a good predictor orders them poorly."
        + (" On the dashed line both are equal." if alike else "")
        + below(measured)
    )

    def draw(canvas: Canvas) -> dict[str, list[str]]:
        ax = canvas.subplots()
        limit(ax, predicted, "x")
        limit(ax, measured)
        in_unit(ax, run.metric, f"measured {run.metric.label}")
        if alike:
            in_unit(ax, run.metric, "predicted", "x")
            ax.axline((0, 0), slope=1, color=COLOURS["muted"], ls=(0, (4, 3)), lw=1, zorder=1)
        else:
            ax.xaxis.set_major_locator(MaxNLocator(5))
            ax.set_xlabel("predicted score")
        tips = by_phase(ax, bounded(predicted), measured, phase, ids, run)
        legend(canvas)
        return tips

    return Display(
        "predicted",
        "Predicted against measured",
        caption,
        {"id": ids.astype(int), "phase": phase, "predicted": predicted, "measured": measured},
        lambda: chart("predicted", f"Scatter plot. {taus}", draw),
    )


def cost_label(cost: str) -> str:
    """A cost in words.

    >>> cost_label("params"), cost_label("latency_ms"), cost_label("joules")
    ('parameters', 'latency, ms', 'joules')
    """
    return _LABELS.get(cost, cost)


def unit_of(cost: str) -> str:
    """What stands behind a cost in a sentence; `say_cost` has the unit of a time in seconds.

    >>> unit_of("latency_ms"), unit_of("params")
    (' ms', '')
    """
    return " ms" if cost.endswith("_ms") else ""


def say_cost(cost: str, value: float) -> str:
    """A cost as an axis or a table says it.

    >>> say_cost("params", 12_000), say_cost("latency_ms", 0.2504)
    ('12k', '0.25')
    """
    if cost == "seconds":
        return seconds(value)
    if cost in COSTS:
        return tick(value)
    return f"{value:.3g}" if np.isfinite(value) else MISSING


def over_cost(run: Run, cost: str) -> Display | None:
    """The metric over a cost with the Pareto front of the search, and the limit if there is one."""
    trials = [trial for trial in run.ok if trial.cost(cost) > 0]
    if len(trials) < 2:
        return None
    x, y = np.array([t.cost(cost) for t in trials]), np.array([t.value for t in trials])
    phase, ids = np.array([t.phase for t in trials]), np.array([t.id for t in trials])
    searched = phase != "random"
    front = np.zeros(len(trials), dtype=bool)
    front[searched] = nondominated(np.stack([y[searched], -x[searched]], axis=1))
    label = cost_label(cost)
    best = run.winner.id if run.winner else -1
    most = run.limits.get(cost, float("nan"))
    wide = x.max() > 8 * x.min()
    near = most <= (10 if wide else 1.5) * x.max()
    caption = (
        f"The line joins the {plural(int(front.sum()), 'network')} of the search that no other of "
        f"it beats in both {label.removesuffix(', ms')} and {run.metric.label}.{below(y)}"
    )
    if np.isfinite(most):
        where = "is the dashed line" if near else "lies far to the right"
        caption += f" The limit of {say_cost(cost, most)}{unit_of(cost)} {where}."

    def draw(canvas: Canvas) -> dict[str, list[str]]:
        ax = canvas.subplots()
        if front.any():
            order = np.lexsort((y[front], x[front]))
            ends = np.append(x[front][order], x.max())
            steps = np.append(y[front][order], y[front].max())
            ax.step(ends, steps, where="post", color=COLOURS["muted"], lw=1.2, gid="front")
        if near:
            dashes = (0, (4, 3))
            ax.axvline(most, color=COLOURS["winner"], ls=dashes, lw=1, gid="limit", zorder=1)
        if wide:
            ax.set_xscale("log")
            ax.xaxis.set_major_locator(LogLocator(numticks=5, subs=(1.0, 3.0)))
            ax.xaxis.set_minor_formatter(NullFormatter())
        else:
            ax.xaxis.set_major_locator(MaxNLocator(4))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: say_cost(cost, value)))
        limit(ax, y)
        in_unit(ax, run.metric, run.metric.label)
        tips = by_phase(ax, x, y, phase, ids, run)
        won = ids == best
        if won.any():
            star(ax, x[won], y[won])
        ax.set_xlabel(label)
        legend(canvas)
        return tips

    return Display(
        f"cost-{cost}",
        f"Over {label.removesuffix(', ms')}",
        caption,
        {"id": ids, "phase": phase, cost: x, run.metric.name: y, "pareto": front},
        lambda: chart(f"cost-{cost}", f"Scatter plot over {label}. {caption}", draw),
    )


def progress(run: Run) -> Display | None:
    """Best value so far by number of networks trained, for the search and for random search."""
    mine, rivals = run.of("sample", "top"), run.of("random")
    if not mine:
        return None
    if rivals and (run.rival.n or 0) > len(rivals):
        rivals = run.of("sample") + rivals  # the sampled networks are random ones too
    trials = mine + rivals
    who = np.array(["search"] * len(mine) + ["random"] * len(rivals))
    trained = np.concatenate([np.arange(len(mine)), np.arange(len(rivals))]) + 1
    y = np.array([trial.value for trial in trials])
    best = np.concatenate([np.maximum.accumulate(part) for part in np.split(y, [len(mine)])])
    phase, ids = np.array([t.phase for t in trials]), np.array([t.id for t in trials])
    once = (who == "search") | (phase == "random")  # marks of networks that count in both
    caption = (
        "Each mark is a trained network, the line is the best so far"
        + (
            f"; dashed, the best of as many random networks ({len(rivals)} with a result)."
            if rivals
            else "."
        )
        + below(y[once])
    )

    def draw(canvas: Canvas) -> dict[str, list[str]]:
        ax = canvas.subplots()
        for name, style, role in (("random", (0, (4, 3)), "random"), ("search", "-", "ink")):
            part = who == name
            if part.any():
                ends = np.append(trained[part], trained.max())
                steps = np.append(best[part], best[part][-1])
                look: dict[str, Any] = {"color": COLOURS[role], "ls": style, "lw": 1.8, "zorder": 4}
                ax.step(ends, steps, where="post", gid=f"best-{name}", **look)
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        limit(ax, y[once])
        in_unit(ax, run.metric, run.metric.label)
        counts = trained[once].astype(float)
        tips = by_phase(ax, counts, y[once], phase[once], ids[once], run)
        ax.set_xlabel("networks trained")
        legend(canvas)
        return tips

    return Display(
        "progress",
        "Best so far",
        caption,
        {
            "search": who,
            "networks": trained,
            "id": ids,
            "phase": phase,
            run.metric.name: y,
            "best_so_far": best,
        },
        lambda: chart("progress", f"Step plot. {caption}", draw),
    )
