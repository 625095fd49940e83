"""Search strategies against each other on a table: best value over the number of networks."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from foretell import strategies as catalog
from foretell.errors import SettingError
from foretell.evaluators.lookup import Lookup
from foretell.evaluators.simulated import Simulated
from foretell.metrics import mean_interval
from foretell.search.asktell import Search
from foretell.search.loop import Loop
from foretell.search.strategy import Strategy
from foretell.spaces.base import Space
from foretell.spaces.parts.listed import listed
from foretell.studies._significance import few_seeds
from foretell.studies._study import (
    Cell,
    OnProgress,
    Study,
    collect,
    describe,
    markdown,
    open_table,
    plus_minus,
    seeds_of,
    write_summary,
)
from foretell.tables.table import Table

_SMALL = ("loss", "err", "error", "perplexity", "ppl", "nll", "rmse", "mse", "mae", "regret")
_LARGE = ("acc", "accuracy", "auc", "iou", "miou", "bleu", "precision", "recall")
CHECKPOINTS = (10, 20, 50, 100, 130, 150, 200, 300, 500, 1_000, 2_000, 5_000, 10_000)


@dataclass(frozen=True)
class SearchRecord:
    """One search: the values it saw, oldest first, and what the test column says at the end.

    `values` has None for a row without a value (a failed trial, which costs a network as well);
    `test` belongs to the row with the best value, None without a test column. `seconds` is
    processor time of the search itself. Of searches that stop trainings early, `epochs` has the
    epochs of each value and `rows` the number of its network; with a clock, `ended_s` the seconds
    since the beginning, of as many workers as are simulated.
    """

    strategy: str
    settings: str
    seed: int
    values: tuple[float | None, ...] = ()
    test: float | None = None
    seconds: float = 0.0
    error: str = ""
    epochs: tuple[int, ...] = ()
    rows: tuple[int, ...] = ()
    ended_s: tuple[float, ...] = ()

    def incumbents(self, direction: Literal["max", "min"]) -> NDArray[np.float64]:
        """Best value known when 1, 2, ... networks have a result, (networks,).

        Of values after different numbers of epochs those with most count.
        """
        sign = 1.0 if direction == "max" else -1.0
        y = sign * np.array(self.values, dtype=np.float64)  # None becomes NaN
        if not self.epochs:
            return sign * np.fmax.accumulate(y) if len(y) else y
        best, far, out = np.nan, 0, np.full(len(set(self.rows)), np.nan)
        seen: set[int] = set()
        for value, epochs, row in zip(y, self.epochs, self.rows, strict=True):
            seen.add(row)
            if epochs > far and np.isfinite(value):
                best, far = value, epochs
            elif epochs == far:
                best = np.fmax(best, value)
            out[len(seen) - 1] = best
        return sign * out


@dataclass(frozen=True)
class SearchStudy(Study[SearchRecord]):
    """What `run_searches` found; `records` has one `SearchRecord` a search."""

    budget: int
    direction: Literal["max", "min"] = "max"

    @property
    def names(self) -> list[str]:
        """The strategies, in the order of the call."""
        return list(dict.fromkeys(r.strategy for r in self.records))

    def curves(self, strategy: str) -> NDArray[np.float64]:
        """Best value seen after 1, 2, ... networks, one search a row, (seeds, budget).

        A search that ended early because the space was used up keeps its last value.
        """
        mine = [r for r in self.records if r.strategy == strategy and not r.error]
        out = np.full((len(mine), self.budget), np.nan)
        for curve, record in zip(out, mine, strict=True):
            known = record.incumbents(self.direction)
            if len(known):
                curve[: len(known)] = known
                curve[len(known) :] = known[-1]
        return out

    def best_at(self, strategy: str, n: int) -> list[float]:
        """Best value seen after `n` networks, one a seed."""
        return [float(v) for v in self.curves(strategy)[:, n - 1]]

    def needed(self, strategy: str, value: float) -> int | None:
        """Networks after which the mean best value is at least as good as `value`, or None."""
        curves = self.curves(strategy)
        if not len(curves):
            return None
        mean = curves.mean(axis=0)
        there = mean >= value if self.direction == "max" else mean <= value
        return int(np.argmax(there)) + 1 if there.any() else None

    def summary(self) -> str:
        """Markdown: best value at some numbers of networks, and what it takes to get there."""
        at = [n for n in CHECKPOINTS if n < self.budget] + [self.budget]
        sign = -1.0 if self.direction == "max" else 1.0
        names = sorted(self.names, key=lambda s: sign * _mean(self.best_at(s, self.budget)))
        test = any(r.test is not None for r in self.records)
        n_seeds = len({r.seed for r in self.records})
        clock = any(any(r.ended_s) for r in self.records)
        rows = []
        for s in names:
            cells = [plus_minus(self.best_at(s, n)) for n in at]
            if test:
                tests = [r.test for r in self.records if r.strategy == s]
                cells.append(plus_minus([value for value in tests if value is not None]))
            if clock:
                ends = [r.ended_s for r in self.records if r.strategy == s and r.ended_s]
                cells.append(plus_minus([max(end) for end in ends], digits=0))
            rows.append([s, *cells])
        header = ["strategy", *(f"{n} networks" for n in at), *(["test"] if test else [])]
        header += ["seconds"] * clock
        first = names[0]
        reach = [
            [s, *(self._words(s, _mean(self.best_at(first, n))) for n in at)] for s in names[1:]
        ]
        parts = [
            "Best value seen after so many networks",
            markdown(header, rows),
            f"Mean ± half of the 95 % interval over {n_seeds} seed{'s' * (n_seeds > 1)}."
            + (" Test: of the row with the best value at the end." if test else "")
            + (" Seconds: until all is trained, on the simulated clock." if clock else ""),
        ]
        if cannot := few_seeds(n_seeds):
            parts.append(cannot)
        if reach:
            parts += [
                f"Networks needed to reach the mean that {first} has at so many",
                markdown(["strategy", *(f"{n} networks" for n in at)], reach),
            ]
        failed = [r for r in self.records if r.error]
        if failed:
            parts.append(
                f"{len(failed)} of {len(self.records)} searches failed, the first: "
                f"{failed[0].strategy}, seed {failed[0].seed}: {failed[0].error}"
            )
        return "\n\n".join(parts)

    def _words(self, strategy: str, value: float) -> str:
        n = self.needed(strategy, value)
        return str(n) if n is not None else f"> {self.budget}"

    def summary_rows(self) -> list[dict[str, Any]]:
        """One row for each strategy and number of networks: mean and half interval."""
        rows = []
        for strategy in self.names:
            curves = self.curves(strategy)
            for n in range(1, self.budget + 1):
                mean, half = mean_interval(curves[:, n - 1]) if len(curves) else (np.nan, np.nan)
                row = {"strategy": strategy, "networks": n, "seeds": len(curves)}
                rows.append({**row, "best": mean, "best_half95": half})
        return rows


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
        strategies: catalog names, or label -> strategy.
        budget: networks that a search may query.
        seeds: a number of seeds from 0 on, or the seeds.
        out: folder of the study.
        workers: processes.
        test_column: for the report.
        on_progress: called with a `Progress` after each search.
        direction: "min" where small values are good.
        seconds_column: seconds of a whole training, for the clock.
        workers_simulated: networks that are trained at the same time, on that clock.

    Raises:
        RunError: `out` holds a study with another table, column, budget or direction.
        SettingError: the name of the column says another direction, or that it is of a test split;
            it has no value; or workers are simulated and nothing says how long a training takes.
    """
    made: dict[str, Strategy] = (
        dict(strategies)
        if isinstance(strategies, Mapping)
        else {name: catalog.get(name) for name in strategies}
    )
    if not made or budget < 1:
        raise SettingError(
            "study of searches",
            expected="a strategy and a budget of at least 1",
            got=f"{len(made)} strategies, budget {budget}",
        )
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
    records = map(_record, found)
    study = SearchStudy(tuple(records), Path(out), budget, direction)
    write_summary(study.out, study.summary_rows(), study.summary())
    return study


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
    record: Cell = {
        "values": [float(v) for v in search.values],
        "test": next(iter(tested.values()), None),
        "seconds": time.process_time() - started,
    }
    if (told.epochs != lookup.epochs).any():
        record |= {"epochs": told.epochs.tolist(), "rows": told.ids.tolist()}
    if lookup.seconds is not None:
        record["ended_s"] = told.ended_s.tolist()
    return record


def _record(cell: Cell) -> SearchRecord:
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in cell.items()}
    return SearchRecord(**fields)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
