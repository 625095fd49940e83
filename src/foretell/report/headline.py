"""The top of the page: what was found, on which data, in which space, how."""

from __future__ import annotations

from typing import Any

import numpy as np

from foretell.report.bars import spent_on
from foretell.report.html import Html, h, join
from foretell.report.parts import facts, tile
from foretell.report.reading import Run, integer, section
from foretell.report.tradeoff import limits_said
from foretell.report.units import examples_in, plural, seconds, tick, words
from foretell.report.verdict import rival_value, tested_value, verdict


def title(run: Run) -> str:
    """What the run is called: its data and its space."""
    data, space = section(run.settings, "data"), section(run.settings, "space")
    both = (run.settings.get("name") or data.get("name"), space.get("name"))
    return " · ".join(str(part) for part in both if part) or run.folder.resolve().name


def headline(run: Run) -> Html:
    """Title, verdict, the big numbers, and what was searched."""
    settings = run.settings
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
                    ("Data", _data(section(settings, "data"))),
                    ("Space", _space(section(settings, "space"))),
                    ("Method", _method(settings)),
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
    workers = integer(run.settings.get("workers"), 0)
    spent = np.nansum([trial.seconds for trial in (*run.trials, *run.again)])
    spent += spent_on(run, "fit_s") + spent_on(run, "predict_s")
    beside = f"best random network {metric.show(rival)}" if np.isfinite(rival) else ""
    return [
        tile(words(metric.name), metric.show(winner.value), "of the winner"),
        tile(words(metric.on("test")), metric.show(test), beside or "read once, at the end"),
        tile("parameters", tick(winner.params), "of the winner"),
        tile("flops", tick(winner.flops), "forward pass of one input"),
        tile("networks trained", f"{len(run.trials):,}", ", ".join(filter(None, parts))),
        tile("compute", seconds(spent), f"on {plural(workers, 'worker')}" if workers else ""),
    ]


def _data(data: dict[str, Any]) -> str:
    shape, outputs = data.get("input_shape"), data.get("n_outputs")
    parts = [str(data["name"])] if data.get("name") else []
    if isinstance(shape, list):
        times = " \N{MULTIPLICATION SIGN} "
        parts.append("inputs " + times.join(map(str, shape)))
    if isinstance(outputs, int):
        kind = ("target",) if data.get("task") == "regression" else ("class", "classes")
        parts.append(plural(outputs, *kind))
    uses = {"train": "to train", "val": "to choose", "test": "to test"}
    sizes = {use: examples_in(data, split) for split, use in uses.items()}
    return ", ".join([*parts, *(f"{n:,} {use}" for use, n in sizes.items() if n)])


def _space(space: dict[str, Any]) -> str:
    parts = [str(space.get("name") or space.get("spec") or "")]
    for key, noun in (("size", "network"), ("d", "decision")):
        if isinstance(space.get(key), int):
            parts.append(plural(space[key], noun))
    return ", ".join(filter(None, parts))


def _method(settings: dict[str, Any]) -> str:
    parts = [str(section(settings, "strategy").get("name") or "")]
    if settings.get("predictor"):
        parts.append(f"predictor {settings['predictor']}")
    counts = (
        (settings.get("n_train"), "sampled"),
        (settings.get("top_k"), "predicted best"),
        (section(settings, "recipe").get("epochs"), "epochs each"),
    )
    parts += [f"{n} {what}" for n, what in counts if isinstance(n, int)]
    halving = section(settings, "halving")
    if halving:
        parts.append(f"successive halving, one in {halving.get('eta')} goes on")
    return ", ".join(filter(None, parts))
