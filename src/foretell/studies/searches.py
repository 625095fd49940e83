"""Search strategies against each other on a table: best value over the number of networks."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from foretell import strategies as catalog
from foretell.errors import SettingError
from foretell.evaluators.lookup import Lookup
from foretell.evaluators.simulated import Simulated
from foretell.search.asktell import Search
from foretell.search.loop import Loop
from foretell.search.strategy import Strategy
from foretell.spaces.base import Space
from foretell.spaces.parts.listed import listed
from foretell.studies._search_study import (
    SearchRecord,
    SearchStudy,
    best_places,
    checkpoints,
)
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

__all__ = ["SearchRecord", "SearchStudy", "best_places", "checkpoints", "read", "run_searches"]

_SMALL = ("loss", "err", "error", "perplexity", "ppl", "nll", "rmse", "mse", "mae", "regret")
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
    column: str,
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
) -> SearchStudy:
    """Run each strategy on the table with each seed, and compare the best values seen.

    Every distinct row queried costs one network; a search sees `column` alone, and `test_column`
    is read once, for the row with the best value at the end. When the table holds only a part of
    the space, the searches move in that part. Strategies that stop trainings early need the
    learning curve of `column`.

    Each search runs on workers with a virtual clock (`Simulated`): what a synchronous strategy
    finds does not depend on their number, but when it finds it does.

    Every finished search is a line of `out/results.jsonl`: an interrupted study goes on where it
    was, and a later call may name more strategies or seeds. `summary.csv` and `summary.md` are
    written at the end.

    Args:
        table_path: file of the table.
        space: of its architectures, or a catalog name; None where the table says it.
        column: what a search may see.
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

    Raises:
        RunError: `out` holds a study with another table, column, budget or direction.
        SettingError: the name of the column says another direction, or that it is of a test split;
            it has no value; or workers are simulated and nothing says how long a training takes.
    """
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
    spent = _tuned(tuning or {}, made)
    table = open_table(table_path, space, column, test_column, seconds_column)
    lookup = Lookup(table, column, direction, test_column, seconds_column)
    _check_target(table, column, direction)
    if workers_simulated < 1 or (workers_simulated > 1 and seconds_column is None):
        raise SettingError(
            "simulated workers",
            expected="a number from 1, and a column of seconds",
            got=f"{workers_simulated}, {seconds_column}",
            hint="name the seconds of a whole training: --seconds COLUMN",
        )
    settings = {
        "study": "searches",
        **describe(table_path, table),
        "column": column,
        "test_column": test_column,
        "direction": direction,
        "budget": budget,
        "optimum": _optimum(table, column, direction),
        "seconds_column": seconds_column,
        "workers_simulated": workers_simulated if workers_simulated > 1 else None,
    }
    cells: list[Cell] = [
        {"strategy": name, "settings": " ".join(repr(strategy).split()), "seed": seed}
        for seed in seeds_of(seeds)
        for name, strategy in made.items()
    ]
    work = functools.partial(_search, lookup, budget, workers_simulated, made)
    found = collect(out, settings, cells, work, workers, on_progress)
    reader = Reader(Path(out) / "results.jsonl")
    records = (reader.record(SearchRecord, cell) for cell in found)
    study = SearchStudy(tuple(records), Path(out), budget, direction, settings, spent)
    write_summary(study.out, study.summary_rows(), study.summary())
    return study


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
    words = set(re.findall(r"[a-z]+", column.lower()))
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


def _search(
    lookup: Lookup, budget: int, workers: int, made: Mapping[str, Strategy], cell: Cell
) -> Cell:
    started = time.process_time()
    table = lookup.table
    whole = len(table) >= table.space.size
    space = table.space if whole else listed(table.space, table.X)
    search = Search(
        space,
        made[cell["strategy"]],
        seed=cell["seed"],
        direction=lookup.direction,
        max_epochs=lookup.epochs,
    )
    for _ in Loop(search, lookup, Simulated(lookup, workers), networks=budget).run():
        pass
    told = search.history.told
    tested = lookup.test(search.best) if len(told.ok) else {}
    tests: list[float | None] = []
    if tested:
        rows = told.ids.tolist()
        at, networks = best_places(search.values, told.epochs.tolist(), rows, lookup.direction)
        last = {int(n): int(i) for n, i in zip(networks, at, strict=True)}
        for n in checkpoints(budget):
            i = last[min(n, max(last))]
            tests.append(next(iter(lookup.test(told.X[i]).values()), None) if i >= 0 else None)
    record: Cell = {
        "tests": tests,
        "values": [float(v) for v in search.values],
        "test": next(iter(tested.values()), None),
        "seconds": time.process_time() - started,
    }
    if (told.epochs != lookup.epochs).any():
        record |= {"epochs": told.epochs.tolist(), "rows": told.ids.tolist()}
    if lookup.seconds is not None:
        record["ended_s"] = told.ended_s.tolist()
    return record
