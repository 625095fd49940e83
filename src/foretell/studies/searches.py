"""Search strategies against each other on a table: best value over the number of networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from foretell import strategies as catalog
from foretell.errors import SettingError
from foretell.evaluators.base import Evaluator
from foretell.evaluators.lookup import Lookup, words_of
from foretell.search.strategy import Strategy
from foretell.spaces.base import Space
from foretell.spaces.parts.listed import listed
from foretell.studies._races import Race
from foretell.studies._search_record import SearchRecord, best_places, checkpoints
from foretell.studies._search_study import SearchStudy, best_front
from foretell.studies._study import (
    Cell,
    OnProgress,
    collect,
    describe,
    open_table,
    read_records,
    seeds_of,
    write_summary,
)
from foretell.tables.table import Table
from foretell.typed import Reader

__all__ = [
    "SearchRecord",
    "SearchStudy",
    "best_places",
    "checkpoints",
    "read",
    "run_live_searches",
    "run_searches",
]

_SMALL = ("loss", "losses", "logloss", "err", "error", "errors", "perplexity", "ppl", "nll", "rmse",
          "mse", "mae", "mape", "wer", "cer", "regret", "latency", "energy")  # fmt: skip
_LARGE = ("acc", "accuracy", "auc", "iou", "miou", "bleu", "precision", "recall")


@dataclass(frozen=True)
class StudyRecord:
    """run.json of a study of searches, as far as it is read again."""

    budget: int = 0
    direction: Literal["max", "min"] = "max"


def read(out: str | Path) -> SearchStudy:
    """What a study has found so far, finished or interrupted, by seed.

    Raises: RunError when `out` holds no study of searches with a finished search.
    """
    out = Path(out)
    settings, found = read_records(
        out, "searches", SearchRecord, ("strategy", "settings", "seed"), "bench search"
    )
    about = Reader(out / "run.json").record(StudyRecord, settings)
    records = sorted(found, key=lambda record: record.seed)
    return SearchStudy(tuple(records), out, about.budget, about.direction, settings)


def run_searches(
    table_path: str | Path,
    space: Space | str | None,
    column: str | Mapping[int, str],
    strategies: Sequence[str] | Mapping[str, Strategy],
    budget: int = 100,
    seeds: int | Sequence[int] = 10,
    out: str | Path = "bench-search",
    *,
    workers: int = 1,
    test_column: str | None = None,
    on_progress: OnProgress = None,
    direction: Literal["max", "min"] = "max",
    seconds_column: str | None = None,
    workers_simulated: int = 1,
    tuning: Mapping[str, int] | None = None,
    minimize: Sequence[str] = (),
    until_s: float | None = None,
) -> SearchStudy:
    """Run each strategy on the table with each seed, and compare the best values seen.

    Every distinct row queried costs one network; a search sees `column` alone, and `test_column`
    is read once, for the rows that were the best, when it is over. When the table holds only a part
    of the space, the searches move in that part. Strategies that stop trainings early need the
    learning curve of `column`, or columns of several budgets.

    Each search runs on workers with a virtual clock (`Simulated`): what a synchronous strategy
    finds does not depend on their number, but when it finds it does.

    Every finished search is a line of `out/results.jsonl`: an interrupted study goes on where it
    was, and a later call may name more strategies or seeds. `summary.csv` and `summary.md` are
    written at the end.

    Args:
        table_path: file of the table.
        space: of its architectures, or a catalog name; None where the table says it.
        column: what a search may see; or epochs -> the column of trainings of that length.
        strategies: catalog names, with settings that suit the budget (`Strategy.scaled`), or
            label -> strategy.
        budget: networks that a search may query.
        seeds: a number of seeds from 0 on, or the seeds.
        out: folder of the study.
        workers: processes.
        test_column: for the report.
        on_progress: called with a `Progress` after each search.
        direction: "min" where small values are good.
        seconds_column: seconds of a whole training, for the clock.
        workers_simulated: networks that are trained at the same time, on that clock.
        tuning: strategy -> networks that its settings were tuned with; they are counted.
        minimize: names of costs (`space.measure`) to trade against the value: strategies that can
            do, and of all the front that they find is compared.
        until_s: seconds of the clock after which no network begins; what ends later is not counted.

    Raises:
        RunError: `out` holds a study with another table, column, budget or direction.
        SettingError: the name of the column says another direction, or that it is of a test split;
            it has no value; or workers are simulated and nothing says how long a training takes.
    """
    made = _made(strategies, budget, minimize)
    spent = _tuned(tuning or {}, made)
    names = [column] if isinstance(column, str) else list(column.values())
    table = open_table(table_path, space, *names, test_column, seconds_column)
    lookup = Lookup(table, column, direction, test_column, seconds_column)
    for name in names:
        _check_target(table, name, direction)
    timed = workers_simulated > 1 or until_s is not None
    if workers_simulated < 1 or (timed and seconds_column is None):
        raise SettingError(
            "simulated workers, or a time",
            expected="a number from 1, and a column of seconds",
            got=f"{workers_simulated}, {seconds_column}",
            hint="name the seconds of a whole training: --seconds COLUMN",
        )
    last = lookup.objective if isinstance(column, str) else column[max(column)]
    settings = {
        **describe(table_path, table),
        "column": column if isinstance(column, str) else last,
        "budgets": None if isinstance(column, str) else {str(k): v for k, v in column.items()},
        "test_column": test_column,
        "optimum": _optimum(table, column if isinstance(column, str) else last, direction),
        "seconds_column": seconds_column,
        **_front(table, names[-1], direction, tuple(minimize)),
    }
    whole = len(table) >= table.space.size
    arena = table.space if whole else listed(table.space, table.X)
    race = Race(lookup, arena, made, budget, workers_simulated, until_s, tuple(minimize))
    return _study(race, settings, seeds, Path(out), workers, on_progress, spent)


def run_live_searches(
    evaluator: Evaluator,
    strategies: Sequence[str] | Mapping[str, Strategy],
    budget: int = 30,
    seeds: int | Sequence[int] = 3,
    out: str | Path = "bench-search",
    *,
    name: str = "",
    workers: int = 1,
    on_progress: OnProgress = None,
    workers_simulated: int = 1,
    tuning: Mapping[str, int] | None = None,
    minimize: Sequence[str] = (),
    until_s: float | None = None,
) -> SearchStudy:
    """`run_searches` with networks that are really evaluated, in the place of a table.

    Equal seeds train a row with equal seeds, whichever strategy asks. The clock adds up what
    trainings took, as so many simulated workers would have had them at the same time; with
    `workers` processes share the machine, which makes each of them slower. The tests are of the
    networks that were the best and trained to the end.

    A study that was broken off goes on inside its searches: finished trainings are kept, and
    half-trained networks are, below `out/trainings`.

    Args:
        evaluator: a `Trainer`, or an own function (`ft.evaluator`); its direction and epochs hold.
        strategies: as for `run_searches`.
        budget: networks that a search may begin.
        seeds: as for `run_searches`.
        out: folder of the study.
        name: of the data, for the report.
        workers: as for `run_searches`.
        on_progress: as for `run_searches`.
        workers_simulated: as for `run_searches`.
        tuning: as for `run_searches`.
        minimize: as for `run_searches`.
        until_s: as for `run_searches`; equal seconds for all.

    Raises:
        RunError: `out` holds another study.
        SettingError: a setting is not valid.
    """
    made = _made(strategies, budget, minimize)
    spent = _tuned(tuning or {}, made)
    if workers_simulated < 1:
        raise SettingError("simulated workers", expected="a number from 1", got=workers_simulated)
    known = evaluator.identity()
    settings = {
        "table": name or type(evaluator).__name__,
        "evaluator": known if isinstance(known, Mapping) else type(evaluator).__name__,
        "space": evaluator.space.name,
        "column": evaluator.objective,
        "seconds_column": "measured",
        "minimize": list(minimize) or None,
    }
    race = Race(
        evaluator,
        evaluator.space,
        made,
        budget,
        workers_simulated,
        until_s,
        tuple(minimize),
        Path(out) / "trainings",
    )
    return _study(race, settings, seeds, Path(out), workers, on_progress, spent)


def _study(
    race: Race,
    settings: Mapping[str, Any],
    seeds: int | Sequence[int],
    out: Path,
    workers: int,
    on_progress: OnProgress,
    spent: Mapping[str, int],
) -> SearchStudy:
    """Run what is missing, and write what came out."""
    direction = race.evaluator.direction
    settings = {
        "study": "searches",
        **settings,
        "direction": direction,
        "budget": race.budget,
        "epochs": race.evaluator.epochs or None,
        "workers_simulated": race.workers if race.workers > 1 else None,
        "until_s": race.until_s,
    }
    cells: list[Cell] = [
        {"strategy": name, "settings": " ".join(repr(strategy).split()), "seed": seed}
        for seed in seeds_of(seeds)
        for name, strategy in race.strategies.items()
    ]
    found = collect(out, settings, cells, race, workers, on_progress)
    reader = Reader(out / "results.jsonl")
    records = (reader.record(SearchRecord, cell) for cell in found)
    study = SearchStudy(tuple(records), out, race.budget, direction, settings, spent)
    write_summary(study.out, study.summary_rows(), study.summary())
    return study


def _made(
    strategies: Sequence[str] | Mapping[str, Strategy], budget: int, minimize: Sequence[str]
) -> dict[str, Strategy]:
    """By label; those that can trade costs and have none trade these."""
    made: dict[str, Strategy] = (
        dict(strategies)
        if isinstance(strategies, Mapping)
        else {name: catalog.scaled(name, budget) for name in strategies}
    )
    if not made or budget < 1:
        raise SettingError(
            "study of searches",
            expected="a strategy and a budget of at least 1",
            got=f"{len(made)} strategies, budget {budget}",
        )
    for name, strategy in made.items():
        if minimize and not getattr(strategy, "minimize", ("none",)):
            made[name] = replace(strategy, minimize=tuple(minimize))  # type: ignore[type-var]  # all are dataclasses
    return made


def _front(table: Table, column: str, direction: str, minimize: tuple[str, ...]) -> dict[str, Any]:
    """What a study says of the best front of the whole table."""
    if not minimize:
        return {}
    sign = 1.0 if direction == "max" else -1.0
    y = table.column(column) if column in table.columns else table.curves[column][:, -1]
    F = np.column_stack([sign * y, -table.space.measure(table.X, minimize)])
    reference, volume = best_front(F)
    return {"minimize": list(minimize), "front_reference": reference, "front_volume": volume}


def _tuned(tuning: Mapping[str, int], made: Mapping[str, Strategy]) -> dict[str, int]:
    """Raises: SettingError for a strategy that is not compared, or what is no number from 0."""
    for name, n in tuning.items():
        if name not in made or isinstance(n, bool) or not isinstance(n, int) or n < 0:
            raise SettingError(
                "networks of tuning",
                expected=f"a whole number from 0 for one of {', '.join(made)}",
                got=f"{name}: {n!r}",
            )
    return dict(tuning)


def _optimum(table: Table, column: str, direction: str) -> float | None:
    """The best value of the column, or of the ends of its curves."""
    values = table.column(column) if column in table.columns else table.curves[column][:, -1]
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    return float(known.max() if direction == "max" else known.min())


def _check_target(table: Table, column: str, direction: str) -> None:
    """Raises: SettingError where the direction contradicts the name, or there is no value."""
    words = set(words_of(column))
    small = not words.isdisjoint(_SMALL) and "neg" not in words
    large = not words.isdisjoint(_LARGE)
    if small != large and direction != ("min" if small else "max"):
        raise SettingError(
            f"direction of {column!r}",
            expected="'min', which small values are good for" if small else "'max'",
            got=repr(direction),
            hint=(
                "pass --minimize-target (direction='min'), or rename the column if large is good"
                if small
                else "leave out --minimize-target, or rename the column if small is good"
            ),
        )
    values = table.curves[column] if column in table.curves else table.column(column)
    if not np.isfinite(values).any():
        raise SettingError(f"column {column!r}", expected="a value", got="none in any row")
