"""Every trained network as a mark: against its prediction, over its cost, in its turn."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from foretell.metrics import kendall
from foretell.report.display import COLOURS, PHASES, Display, chart
from foretell.report.marks import axis, below, bounded, by_phase, legend, same_unit, star
from foretell.report.reading import Floats, Run, integer, number, numbers, section
from foretell.report.units import plural, seconds, tick

COSTS = {"params": "parameters", "flops": "flops of one input", "seconds": "training time"}


def predicted_measured(run: Run) -> Display | None:
    """What was predicted before a network was trained, against what training gave."""
    phase = np.array(run.predictions.get("phase", []))
    predicted = numbers(run.predictions.get("predicted", []))
    measured = numbers(run.predictions.get("measured", []))
    both = np.isfinite(predicted) & np.isfinite(measured)
    if both.sum() < 2:
        return None
    ids = numbers(run.predictions.get("id", []))[both]
    phase, predicted, measured = phase[both], predicted[both], measured[both]
    in_unit = same_unit(predicted, measured)
    scale = run.metric.scale if in_unit else 1.0
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
        + (" On the dashed line both are equal." if in_unit else "")
        + below(measured)
    )

    def draw(canvas: Canvas) -> dict[str, list[str]]:
        ax = canvas.subplots()
        axis(ax, predicted * scale, "x")
        axis(ax, measured * scale)
        if in_unit:
            ax.axline((0, 0), slope=1, color=COLOURS["muted"], ls=(0, (4, 3)), lw=1, zorder=1)
        tips = by_phase(ax, bounded(predicted * scale), measured * scale, phase, ids, run)
        percent = ", %" if scale > 1 else ""
        ax.set_xlabel(f"predicted{percent}" if in_unit else "predicted score")
        ax.set_title(f"measured {run.metric.axis}")
        legend(canvas)
        return tips

    return Display(
        "predicted",
        "Predicted against measured",
        caption,
        {"id": ids.astype(int), "phase": phase, "predicted": predicted, "measured": measured},
        lambda: chart("predicted", f"Scatter plot. {taus}", draw),
    )


def over_cost(run: Run, cost: str) -> Display | None:
    """The metric over `cost` ("params", "flops" or "seconds") with the Pareto front."""
    trials = [trial for trial in run.ok if number(getattr(trial, cost)) > 0]
    if len(trials) < 2:
        return None
    x, y = np.array([getattr(t, cost) for t in trials]), np.array([t.value for t in trials])
    phase, ids = np.array([t.phase for t in trials]), np.array([t.id for t in trials])
    front = pareto(x, y)
    label = COSTS[cost]
    best = run.winner.id if run.winner else -1
    caption = (
        f"The line joins the {plural(int(front.sum()), 'network')} that no other beats in both "
        f"{label} and {run.metric.label}.{below(y)}"
    )
    scale = run.metric.scale

    def draw(canvas: Canvas) -> dict[str, list[str]]:
        ax = canvas.subplots()
        order = np.argsort(x[front], kind="stable")
        ends = np.append(x[front][order], x.max())
        steps = np.append(y[front][order], y.max()) * scale
        ax.step(ends, steps, where="post", color=COLOURS["muted"], lw=1.2, gid="front")
        if x.max() > 8 * x.min():
            ax.set_xscale("log")
            ax.xaxis.set_major_locator(LogLocator(numticks=5, subs=(1.0, 3.0)))
            ax.xaxis.set_minor_formatter(NullFormatter())
        else:
            ax.xaxis.set_major_locator(MaxNLocator(4))
        say = seconds if cost == "seconds" else tick
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: say(value)))
        axis(ax, y * scale)
        tips = by_phase(ax, x, y * scale, phase, ids, run)
        won = ids == best
        if won.any():
            star(ax, x[won], y[won] * scale)
        ax.set_xlabel(label)
        ax.set_title(run.metric.axis)
        legend(canvas)
        return tips

    return Display(
        f"cost-{cost}",
        f"Over {label}",
        caption,
        {"id": ids, "phase": phase, cost: x, run.metric.name: y, "pareto": front},
        lambda: chart(f"cost-{cost}", f"Scatter plot over {label}. {caption}", draw),
    )


def progress(run: Run) -> Display | None:
    """Best value so far by number of networks trained, for the search and for random search."""
    mine, rivals = run.of("sample", "top"), run.of("random")
    if not mine:
        return None
    if rivals and integer(section(run.final, "random").get("n")) > len(rivals):
        rivals = run.of("sample") + rivals  # the sampled networks are random ones too
    trials = mine + rivals
    who = np.array(["search"] * len(mine) + ["random"] * len(rivals))
    trained = np.concatenate([np.arange(len(mine)), np.arange(len(rivals))]) + 1
    y = np.array([trial.value for trial in trials])
    best = np.concatenate([np.maximum.accumulate(part) for part in np.split(y, [len(mine)])])
    phase, ids = np.array([t.phase for t in trials]), np.array([t.id for t in trials])
    once = (who == "search") | (phase == "random")  # marks of networks that count in both
    scale = run.metric.scale
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
                steps = np.append(best[part], best[part][-1]) * scale
                look: dict[str, Any] = {"color": COLOURS[role], "ls": style, "lw": 1.8, "zorder": 4}
                ax.step(ends, steps, where="post", gid=f"best-{name}", **look)
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axis(ax, y[once] * scale)
        counts = trained[once].astype(float)
        tips = by_phase(ax, counts, y[once] * scale, phase[once], ids[once], run)
        ax.set_xlabel("networks trained")
        ax.set_title(run.metric.axis)
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


def pareto(cost: Floats, value: Floats) -> NDArray[np.bool_]:
    """Which points no other point beats: lower or equal cost and higher or equal value.

    Shapes: (n,) and (n,) to (n,). Of equal points the first one counts.

    >>> pareto(np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.4, 0.9])).tolist()
    [True, False, True]
    """
    order = np.lexsort((-value, cost))
    best = np.maximum.accumulate(value[order])
    front = np.zeros(len(cost), dtype=bool)
    front[order] = np.append(True, value[order][1:] > best[:-1])[: len(cost)]
    return front
