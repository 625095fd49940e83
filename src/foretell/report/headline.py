"""The top of the page: what was found, on which data, in which space, how."""

from __future__ import annotations

import numpy as np

from foretell.report.bars import fit_s, predict_s
from foretell.report.html import Html, h, join
from foretell.report.parts import facts, tile
from foretell.report.reading import Run
from foretell.report.tested import said_interval
from foretell.report.tradeoff import limits_said
from foretell.report.units import plural, seconds, tick, words
from foretell.report.verdict import rival_value, tested_value, verdict
from foretell.runs.record import DataRecord, RunRecord, SpaceRecord


def title(run: Run) -> str:
    """What the run is called: its data and its space."""
    record = run.record
    both = (record.options.name or record.data.name, record.space.name)
    return " · ".join(filter(None, both)) or run.folder.resolve().name


def headline(run: Run) -> Html:
    """Title, verdict, the big numbers, and what was searched."""
    tiles = _tiles(run)
    return join(
        [
            h("p", "foretell", h("span", " report"), class_="brand"),
            h(
                "h1",
                title(run),
                None if run.finished else h("span", "unfinished", class_="badge warn"),
            ),
            h("p", verdict(run), class_="verdict"),
            h("div", tiles, class_="tiles") if tiles else None,
            facts(
                [
                    ("Data", _data(run.record.data)),
                    ("Space", _space(run.record.space)),
                    ("Method", _method(run.record)),
                    ("Limits", limits_said(run)),
                ]
            ),
            [h("p", note, class_="note") for note in run.notes],
        ]
    )


def _tiles(run: Run) -> list[Html]:
    winner = run.winner
    if winner is None:
        return []
    metric, test, rival = run.metric, tested_value(run), rival_value(run, "test")
    rivals = sum(trial.phase == "random" for trial in run.trials)
    failed = sum(not trial.ok for trial in run.trials)
    early = len(run.stopped)
    parts = [
        f"{rivals} to compare with" if rivals else "",
        f"{early} stopped early" if early else "",
        f"{failed} failed" if failed else "",
    ]
    workers = run.record.options.workers
    spent = np.nansum([trial.seconds for trial in (*run.trials, *run.again)])
    spent += fit_s(run) + predict_s(run)
    beside = f"best random network {metric.show(rival)}" if np.isfinite(rival) else ""
    return [
        tile(words(metric.name), metric.show(winner.value), "of the winner"),
        tile(
            words(metric.on("test")),
            metric.show(test),
            "; ".join(filter(None, [said_interval(run), beside])) or "read once, at the end",
        ),
        tile("parameters", tick(winner.params), "of the winner"),
        tile("flops", tick(winner.flops), "forward pass of one input"),
        tile("networks trained", f"{len(run.trials):,}", ", ".join(filter(None, parts))),
        tile("compute", seconds(spent), f"on {plural(workers, 'worker')}" if workers else ""),
    ]


def _data(data: DataRecord) -> str:
    parts = [data.name] if data.name else []
    if data.input_shape:
        times = " \N{MULTIPLICATION SIGN} "
        parts.append("inputs " + times.join(map(str, data.input_shape)))
    if data.n_outputs is not None:
        nouns = {"regression": ("target",), "multilabel": ("label",)}
        kind = nouns.get(data.task, ("class", "classes"))
        parts.append(plural(data.n_outputs, *kind))
    uses = {"train": "to train", "val": "to choose", "test": "to test"}
    sizes = {use: data.sizes.get(split, 0) for split, use in uses.items()}
    return ", ".join([*parts, *(f"{n:,} {use}" for use, n in sizes.items() if n)])


def _space(space: SpaceRecord) -> str:
    parts = [space.name or space.spec]
    for n, noun in ((space.size, "network"), (space.d, "decision")):
        parts += [plural(n, noun)] if n is not None else []
    return ", ".join(filter(None, parts))


def _method(record: RunRecord) -> str:
    options, settings = record.options, record.strategy.settings
    halving = options.halving or settings
    eta = halving.get("eta") if isinstance(halving, dict) else None
    # without networks to predict there is nothing that a predictor was asked for
    predictor = settings.get("predictor", options.predictor) if settings else options.predictor
    asked = options.top_k > 0 and predictor is not None
    parts = [record.strategy.name, f"predictor {options.predictor}" if asked else ""]
    counts = (
        (options.n_train, "sampled"),
        (options.top_k, "predicted best"),
        (record.recipe and record.recipe.epochs, "epochs at most" if eta else "epochs each"),
    )
    parts += [f"{n} {what}" for n, what in counts if n]
    if eta:
        parts.append(f"successive halving, one in {eta} goes on")
    return ", ".join(filter(None, parts))
