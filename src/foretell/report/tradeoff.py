"""Several objectives: the front of the search, what was measured, what was not allowed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from foretell.pareto import nondominated
from foretell.report.html import Html, h, join
from foretell.report.parts import architecture, figures, sortable, table
from foretell.report.reading import Run
from foretell.report.scatter import cost_label, over_cost, say_cost, unit_of
from foretell.report.units import plural
from foretell.runs.trial import Trial

_SHOWN = 50  # networks of the front in the table


def front(run: Run) -> tuple[Trial, ...]:
    """Networks of the search that no other beats in the metric and all costs; best first."""
    trials = run.of("sample", "top")
    if not trials or not run.minimize:
        return ()
    F = np.array([[t.value, *(-t.cost(name) for name in run.minimize)] for t in trials])
    kept = [trial for trial, keep in zip(trials, nondominated(F), strict=True) if keep]
    return tuple(sorted(kept, key=lambda trial: -trial.value))


def trade_off(run: Run, ranked: Mapping[str, str]) -> Html | None:
    """The section: a figure a cost and the table of the front.

    Args:
        run: with costs to minimise, else there is no such section.
        ranked: architecture -> id of its row in the ranking, for those that it shows.
    """
    best = front(run)
    if not best:
        return None
    costs = ", ".join(cost_label(name).removesuffix(", ms") for name in run.minimize)
    said = (
        f"The search kept {costs} small beside a high {run.metric.label}. "
        f"{plural(len(best), 'network')} of {len(run.of('sample', 'top'))} "
        f"{'is' if len(best) == 1 else 'are'} beaten by none in all of these"
        f"{f'; the best {_SHOWN} are listed' if len(best) > _SHOWN else ''}. The winner is the one "
        f"of highest {run.metric.label}; pareto.csv has the front."
    )
    rows = []
    for trial in best[:_SHOWN]:
        name = architecture(trial.arch)
        row = ranked.get(trial.arch)
        linked = h("a", name, href=f"#{row}") if row else name
        badge = h("span", "winner", class_="badge win") if _won(run, trial) else None
        cells = [
            h("td", linked, " ", badge, class_="arch"),
            sortable(trial.value, run.metric.show(trial.value)),
            *(sortable(trial.cost(c), say_cost(c, trial.cost(c))) for c in run.minimize),
        ]
        rows.append(h("tr", cells))
    labels = [cost_label(name).capitalize() for name in run.minimize]
    heads = ("Architecture", run.metric.label.capitalize(), *labels)
    shown = figures(over_cost(run, name) for name in run.minimize)
    return join([h("p", said), shown, table(heads, rows, tall=True), measured(run)])


def measured(run: Run) -> Html | None:
    """How far measured costs can be trusted: their spread over repetitions."""
    words = []
    for name, spreads in run.spreads.items():
        trials = [t for t in (*run.ok, *run.stopped) if np.isfinite(spreads.get(t.arch, np.nan))]
        if not trials:
            continue
        share = np.median([spreads[t.arch] / t.cost(name) for t in trials if t.cost(name) > 0])
        label = cost_label(name).removesuffix(", ms")
        words.append(
            f"{label.capitalize()} was measured on this machine, the median of some repetitions; "
            f"half of the repetitions of a network lie within {100 * share:.0f} % of it "
            "(interquartile range, median over the networks)."
        )
        winner = run.winner
        if winner is not None and np.isfinite(spreads.get(winner.arch, np.nan)):
            unit = unit_of(name)
            words.append(
                f"The winner's is {say_cost(name, winner.cost(name))}{unit}, with a range of "
                f"{say_cost(name, spreads[winner.arch])}{unit}."
            )
    return h("p", " ".join(words), class_="small") if words else None


def limits_said(run: Run) -> str:
    """The limits in words.

    Returns "parameters at most 60k, latency at most 5 ms", or "" without limits.
    """
    parts = []
    for name, limit in run.limits.items():
        label = cost_label(name).removesuffix(", ms")
        parts.append(f"{label} at most {say_cost(name, limit)}{unit_of(name)}")
    return ", ".join(parts)


def _won(run: Run, trial: Trial) -> bool:
    return run.winner is not None and trial.id == run.winner.id
