"""The sections of the page, each from a `Run`; None where a run has nothing to say."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from foretell import typed
from foretell.report.bars import baselines, time_spent, trainings
from foretell.report.data import confusion, data
from foretell.report.display import PHASES, cell, table_csv
from foretell.report.drawing import network
from foretell.report.effects import effects, main_effects
from foretell.report.gains import more_trials
from foretell.report.html import Html, h, join
from foretell.report.lines import curves, losses, stops
from foretell.report.parts import (
    architecture,
    download,
    facts,
    figure,
    figures,
    numbers_of,
    plain,
    settings_table,
    sortable,
    table,
    with_code,
)
from foretell.report.reading import Floats, Run, numbers
from foretell.report.retrained import Retrained, luck, retrained, said
from foretell.report.rival import rival
from foretell.report.scatter import COSTS, over_cost, predicted_measured, progress
from foretell.report.tested import mistakes, samples, true_predicted
from foretell.report.tradeoff import measured, trade_off
from foretell.report.units import MISSING, count, plural, seconds
from foretell.report.verdict import next_steps
from foretell.runs.bounds import same_unit
from foretell.runs.trial import Trial

_RANKED = 50  # rows of the ranking that are shown
_UNFOLDED = 8  # decisions that are shown at once
_DECISIONS = 24  # decisions whose best options are listed
_FAILED = 100  # failed trials that are shown


def _best(run: Run) -> Html | None:
    winner = run.winner
    if winner is None:
        return None
    words = [h("p", architecture(winner.arch), class_="arch"), _use(run), _decisions(run, winner)]
    drawn = network(run, winner)
    if drawn is None:
        why = f" ({run.space_error})" if run.space_error else ""
        note = h("p", f"The space is not at hand, so there is no drawing{why}.", class_="note")
        return join([note, *words])
    picture = h("figure", Html(drawn.svg()), numbers_of(drawn))
    return h("div", picture, h("div", h("p", drawn.caption), words), class_="split")


def _use(run: Run) -> Html | None:
    if not (run.folder / "best" / "config.json").exists():
        return None
    best = str(Path(run.folder.resolve().name) / "best")
    return h(
        "p",
        "It is saved in ",
        h("code", best),
        " and needs nothing of this search: ",
        h("code", f"foretell predict {shlex.quote(best)} FILE"),
        " applies it to new data.",
    )


def _decisions(run: Run, winner: Trial) -> Html | None:
    if run.space is not None and run.rows((winner,)) is not None:
        decoded = run.space.decode(np.array(winner.x))
        pairs = {
            k: ", ".join(map(str, v)) if isinstance(v, tuple) else v for k, v in decoded.items()
        }
    else:
        parts = [part.partition("=") for part in winner.arch.split(",")]
        pairs = {name: value for name, equals, value in parts if equals}
        pairs = pairs or {f"decision {j}": value for j, value in enumerate(winner.x)}
    pairs = {str(k): str(v) for k, v in pairs.items() if v is not None and v != ""}
    if len(pairs) <= _UNFOLDED:
        return settings_table(pairs, "Its decisions")
    return h("details", h("summary", f"Its {len(pairs)} decisions"), settings_table(pairs))


def _prediction(run: Run) -> Html | None:
    shown = figures([predicted_measured(run), baselines(run)])
    if shown is None:
        return None
    name, chosen = run.rank.names
    scored = run.rank.n_scored
    did = [
        f"chose {chosen}" if chosen not in ("", name) else "",
        "" if scored is None else f"scored {scored:,} networks",
    ]
    did = [part for part in did if part]
    text = f"The predictor {name} {' and '.join(did)}." if did else ""
    note = run.rank.note
    text = f"{text} {note[:1].upper()}{note[1:]}{'.' * bool(note)}".strip()
    return join([h("p", text) if text else None, shown])


def _better(run: Run) -> Html | None:
    found = Retrained.of(run)
    if found is None:
        if not run.finished:
            return None
        made = run.space.baseline() if run.space is not None else None
        name = f"the hand-made network ({made[0]})" if made else "the hand-made network"
        how = f"Not asked yet: `--replicates 3` trains the winner and {name} again with three seeds"
        return h("p", with_code(f"{how} each, and says whether the gain is more than noise."))
    notes = [luck(run, found)]
    if not found.name:
        notes.append("The space has no hand-made network within the limits to compare with.")
    missing = 2 * found.asked - len(found.winner) - len(found.rival)
    if found.name and not found.same and missing:
        notes.append(f"{plural(missing, 'training')} failed and {_is(missing)} left out.")
    display = retrained(run)
    words = h("p", " ".join(filter(None, notes)))
    if display is None:
        return join([h("p", said(run, found)), words])
    return h("div", figure(display, title=False, more=words), class_="grid one")


def _is(n: int) -> str:
    return "is" if n == 1 else "are"


def _classes(run: Run) -> Html | None:
    parts = [part for part in (confusion(run), mistakes(run)) if part]
    return join(parts) if parts else None


def _values(run: Run) -> Html | None:
    return figures(true_predicted(run))


def _data(run: Run) -> Html | None:
    parts = [part for part in (data(run), samples(run)) if part]
    return join(parts) if parts else None


def _trade_off(run: Run) -> Html | None:
    archs = run.ranking.get("arch", [])[:_RANKED]
    return trade_off(run, {arch: f"rank-{i}" for i, arch in enumerate(archs, start=1)})


def _cost(run: Run) -> Html | None:
    shown = figures(over_cost(run, cost) for cost in COSTS if cost not in run.minimize)
    more = measured(run) if not run.minimize else None
    return join([shown, more]) if shown or more else None


def _search(run: Run) -> Html | None:
    words, shown = stops(run), figures([progress(run), curves(run), losses(run)])
    return join([h("p", words) if words else None, shown]) if words or shown else None


def _effects(run: Run) -> Html | None:
    display, found = effects(run), main_effects(run)
    if display is None or found is None:
        return None
    taken: dict[str, str] = {}
    winner = run.winner
    if winner is not None and run.space is not None and run.rows((winner,)) is not None:
        there = run.space.active(np.array([winner.x]))[0]
        columns = zip(run.space.choices, winner.x, there, strict=True)
        taken = {one.name: str(one.options[k]) for one, k, applies in columns if applies}
    rows = []
    for name in list(dict.fromkeys(found.decision))[:_DECISIONS]:
        lines = np.flatnonzero(np.array(found.decision) == name)
        cells = [f"{found.explained[lines[0]] * 100:.0f} %"]
        for column in (found.mean, found.share):
            known = lines[np.isfinite(column[lines])]
            cells.append(found.option[known[np.argmax(column[known])]] if len(known) else MISSING)
        cells.append(taken.get(name, MISSING))
        rows.append(h("tr", h("th", name, scope="row"), [h("td", text) for text in cells]))
    heads = ("Decision", "Explains", "Best mean", "Predictor likes", "Winner takes")
    return h("div", figure(display, title=False, more=table(heads, rows)), class_="grid one")


def _ranking(run: Run) -> Html | None:
    archs = run.ranking.get("arch", [])
    if not archs:
        return None
    n = min(len(archs), _RANKED)
    nothing = [""] * len(archs)
    rank, predicted, std, measured, params, flops = (
        numbers(run.ranking.get(name, nothing))[:n]
        for name in ("rank", "predicted", "std", "measured", "params", "flops")
    )
    say = _say_predicted(run, predicted)
    by_arch = {trial.arch: trial for trial in (*run.stopped, *run.ok)}
    rows = []
    for i, arch in enumerate(archs[:n]):
        trial = by_arch.get(arch)
        value = measured[i] if trial is None else trial.value
        place = rank[i] if np.isfinite(rank[i]) else i + 1.0
        badge = None
        if run.winner is not None and arch == run.winner.arch:
            badge = h("span", "winner", class_="badge win")
        elif np.isfinite(value):
            early = trial is not None and trial.stopped
            badge = h("span", "stopped early" if early else "trained", class_="badge")
        spread = f" ± {say(std[i]).removesuffix(run.metric.unit)}" if np.isfinite(std[i]) else ""
        cells = (
            sortable(place, f"{place:g} ", badge),
            h("td", architecture(arch), class_="arch"),
            sortable(predicted[i], say(predicted[i]) + spread),
            sortable(value, run.metric.show(value)),
            sortable(params[i], count(params[i])),
            sortable(flops[i], count(flops[i])),
        )
        marked = "measured" if np.isfinite(value) else None
        rows.append(h("tr", cells, class_=marked, id=f"rank-{i + 1}"))
    by = "predicted" if np.isfinite(predicted).any() else "measured"
    all_of = f"The {n} best {by}" if n < len(archs) else f"All {len(archs)}, best {by} first"
    if run.minimize:
        all_of += ", compromises with the costs first that no other beats,"
    heads = ("Rank", "Architecture", "Predicted", "Measured", "Parameters", "Flops")
    field = h("input", type="search", id="ranking-search", autocomplete="off")
    tools = h("label", "Search ", field), h("span", id="ranking-count", role="status")
    return join(
        [
            h(
                "p",
                f"{all_of}; ranking.csv has {plural(len(archs), 'network')}. Networks that were "
                "trained are marked.",
            ),
            h("p", tools, class_="js tools"),
            h("div", table(heads, rows, tall=True), id="ranking-table"),
        ]
    )


def _say_predicted(run: Run, predicted: Floats) -> Callable[[float], str]:
    """How predictions are said: like measurements if they are in their unit, else as scores."""
    known = predicted[np.isfinite(predicted)]
    measured = np.array([trial.value for trial in run.ok])
    if len(known) and len(measured) and same_unit(known, measured):
        return run.metric.show
    return lambda value: cell(value) or MISSING


def _failures(run: Run) -> Html | None:
    failed = [trial for trial in run.trials if not trial.ok]
    if not run.trials:
        return None
    if not failed:
        return h("p", f"None: all {plural(len(run.trials), 'trial')} gave a result.")
    rows = [
        h(
            "tr",
            h("td", f"#{trial.id}"),
            h("td", PHASES.get(trial.phase, trial.phase)),
            h("td", architecture(trial.arch), class_="arch"),
            h("td", plain(trial.error), class_="reason"),
            h("td", seconds(trial.seconds), class_="number"),
        )
        for trial in failed[:_FAILED]
    ]
    more = len(failed) - len(rows)
    text = (
        f"{len(failed)} of {plural(len(run.trials), 'trial')} gave no result; a failed trial never "
        "ends a run." + (f" {more} more are in trials.jsonl." if more else "")
    )
    heads = ("Trial", "Phase", "Architecture", "Reason", "Time lost")
    return join([h("p", text), table(heads, rows)])


def _time(run: Run) -> Html | None:
    return figures([time_spent(run), trainings(run)])


def _next(run: Run) -> Html | None:
    steps = next_steps(run)
    return h("ul", [h("li", with_code(step)) for step in steps]) if steps else None


def _repeat(run: Run) -> Html:
    record = run.record
    line = shlex.join(_short(record.command))
    blocks = (
        ("Recipe", record.recipe),
        ("Strategy", record.strategy),
        ("Space", record.space),
        ("Data", record.data),
    )
    known = [
        ("Created", record.created),
        ("Seed", record.options.seed),
        ("Data digest", record.data.digest),
        ("Device", record.device),
        ("Workers", "not said" if record.options.workers is None else record.options.workers),
        ("foretell", record.foretell),
        *record.versions.items(),
    ]
    return join(
        [
            h("p", "The same command on the same data repeats this run, or continues it:"),
            h("pre", h("code", line)) if line else None,
            facts(known),
            [
                h("details", h("summary", name), settings_table(typed.plain(block)))
                for name, block in blocks
                if block
            ],
            _all_trials(run),
        ]
    )


def _short(command: Sequence[str]) -> list[str]:
    """As one types it: a shell finds a program by its name, Python a module."""
    if not command:
        return []
    program = PurePosixPath(command[0].replace("\\", "/"))
    if program.name == "__main__.py":
        return ["python", "-m", program.parent.name, *command[1:]]
    known = program.name.removesuffix(".exe") == "foretell"
    return ["foretell" if known else command[0], *command[1:]]


def _all_trials(run: Run) -> Html | None:
    trials = (*run.trials, *run.again)
    if not trials:
        return None
    names = list(dict.fromkeys(name for trial in trials for name in trial.metrics))
    columns: dict[str, list[Any]] = {
        key: [getattr(trial, key) for trial in trials]
        for key in ("id", "phase", "arch", "ok", "error", "params", "flops", "seconds")
    }
    columns |= {name: [t.metrics.get(name, np.nan) for t in trials] for name in names}
    extra = list(dict.fromkeys(name for trial in trials for name in trial.costs))
    columns |= {name: [trial.cost(name) for trial in trials] for name in extra}
    columns |= {"epochs": [t.epochs for t in trials], "stopped": [t.stopped for t in trials]}
    return h("p", "All trials: ", download("trials.csv", table_csv(columns)))


SECTIONS: tuple[tuple[str, str, Callable[[Run], Html | None]], ...] = (
    ("network", "The best network", _best),
    ("better", "Is it really better?", _better),
    ("rival", "Against a pretrained network", rival),
    ("classes", "Class by class", _classes),
    ("values", "True and predicted", _values),
    ("trade-off", "The trade-off", _trade_off),
    ("prediction", "How good the predictions were", _prediction),
    ("cost", "What it costs", _cost),
    ("search", "How the search went", _search),
    ("decisions", "What each decision contributes", _effects),
    ("ranking", "Ranking", _ranking),
    ("data", "Your data", _data),
    ("failures", "Failed trials", _failures),
    ("more", "What more trials would bring", more_trials),
    ("time", "Where the time went", _time),
    ("next", "What to try next", _next),
    ("repeat", "How to repeat this", _repeat),
)
