"""One search of a study of searches: on a table, or on networks that are really trained."""

from __future__ import annotations

import contextlib
import math
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foretell.errors import DataError
from foretell.evaluators.base import Evaluator, Job, OnEpoch, Result
from foretell.evaluators.lookup import Lookup
from foretell.evaluators.simulated import Simulated
from foretell.runs.journal import Journal
from foretell.search.asktell import Search
from foretell.search.history import History
from foretell.search.loop import Asked, Loop, Unwritten
from foretell.search.strategy import Strategy
from foretell.spaces.base import Rows, Space
from foretell.studies._search_record import ever_best
from foretell.studies._study import Cell


@dataclass(frozen=True)
class Race:
    """What the searches of a study have in common; called with a cell, it runs one of them.

    Args:
        evaluator: whose objective is searched.
        space: where.
        strategies: by label.
        budget: networks that may begin.
        workers: simulated ones.
        until_s: seconds of the clock; no network begins later, and what ends later does not count.
        minimize: names of costs that are written down.
        trainings: folder for what is really trained, so that a search that was broken off goes on
            inside; None for a table.
    """

    evaluator: Evaluator
    space: Space
    strategies: Mapping[str, Strategy]
    budget: int
    workers: int
    until_s: float | None = None
    minimize: tuple[str, ...] = ()
    trainings: Path | None = None

    def __call__(self, cell: Cell) -> Cell:
        """Values, tests, costs and times of the search of a cell."""
        began = time.process_time()
        search = Search(
            self.space,
            self.strategies[cell["strategy"]],
            seed=cell["seed"],
            direction=self.evaluator.direction,
            max_epochs=self.evaluator.epochs,
        )
        folder = None if self.trainings is None else self.trainings / _file_name(cell)
        with _kept(self.evaluator, folder) as evaluator:
            workers = Simulated(evaluator, self.workers)
            book = _Until(search.seed, self.until_s, workers, folder)
            loop = Loop(search, evaluator, workers, self.budget, book)
            for _ in loop.run():
                pass
            loop.settle()
            told = search.history.told
            if self.until_s is not None:
                told = told[told.ended_s <= self.until_s]
            record = self._record(told, folder)
            trained = evaluator.spent_s if isinstance(evaluator, Kept) else 0.0
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        return {**record, "seconds": time.process_time() - began - trained}

    def _record(self, told: History, folder: Path | None) -> Cell:
        sign = 1.0 if self.evaluator.direction == "max" else -1.0
        values, ids = sign * told.y, told.ids.tolist()
        uneven = bool((told.epochs != self.evaluator.epochs).any())
        epochs, rows = (told.epochs.tolist(), ids) if uneven else ([], [])
        ended = told.ended_s if self._has_clock else np.arange(float(len(told)))
        tests: list[float | None] = [None] * len(told)
        places = ever_best(values, epochs, rows, ended.tolist(), self.evaluator.direction)
        for i in places:
            tests[i] = self._test(told.X[i], ids[i], folder)
        last = max(places, key=lambda i: _order(told, i), default=None)
        record: Cell = {
            "tests": tests if any(one is not None for one in tests) else [],
            "values": [float(v) for v in values],
            "test": None if last is None else tests[last],
        }
        if uneven:
            record |= {"epochs": epochs, "rows": ids}
        if self._has_clock:
            record["ended_s"] = told.ended_s.tolist()
        if self.minimize and len(told):
            record["costs"] = self.space.measure(told.X, self.minimize).tolist()
        return record

    @property
    def _has_clock(self) -> bool:
        return self.trainings is not None or getattr(self.evaluator, "seconds", None) is not None

    def _test(self, x: Rows, id: int, folder: Path | None) -> float | None:
        """The test metric of the row, which no search has seen."""
        if isinstance(self.evaluator, Lookup):
            return next(iter(self.evaluator.test(x).values()), None)
        weights = None if folder is None else _weights(folder, id)
        there = weights is not None and weights.exists()
        name = self.evaluator.objective.replace("val", "test", 1)
        with contextlib.suppress(DataError):  # not trained to the end: there are no weights
            return self.evaluator.test(x, weights if there else None).get(name)
        return None


def _order(told: History, i: int) -> tuple[int, float]:
    """The larger, the better."""
    return int(told.epochs[i]), float(told.y[i])


class _Until(Unwritten):
    """A book that ends by the clock, and says where weights and half-trained networks are."""

    def __init__(
        self, seed: int, until_s: float | None, workers: Simulated, folder: Path | None
    ) -> None:
        super().__init__(seed)
        self.until_s, self.workers, self.folder = until_s, workers, folder

    def over(self) -> bool:
        """Whether the time is."""
        return self.until_s is not None and self.workers.now_s >= self.until_s

    def job(self, asked: Asked) -> Job:
        """With its files, where networks are really trained."""
        job = super().job(asked)
        if self.folder is None:
            return job
        state = self.folder / f"{asked.id}.state.safetensors"
        return Job(job.id, job.x, job.seed, _weights(self.folder, asked.id), state, job.epochs)


def _weights(folder: Path, id: int) -> Path:
    return folder / f"{id}.safetensors"


def _file_name(cell: Cell) -> str:
    words = re.sub(r"[^A-Za-z0-9.-]+", "_", f"{cell['strategy']}")
    return f"{words}-{cell['seed']}"


@contextlib.contextmanager
def _kept(evaluator: Evaluator, folder: Path | None) -> Iterator[Evaluator]:
    if folder is None:
        yield evaluator
        return
    folder.mkdir(parents=True, exist_ok=True)
    with Journal(folder / "trainings.jsonl") as journal:
        yield Kept(evaluator, journal)


class Kept(Evaluator):
    """An evaluator whose results are written down: who asks again gets what was.

    Args:
        evaluator: that does it.
        journal: of results.

    Attributes:
        spent_s: processor seconds of evaluations.
    """

    def __init__(self, evaluator: Evaluator, journal: Journal) -> None:
        self.evaluator, self.journal, self.spent_s = evaluator, journal, 0.0
        self.space, self.objective = evaluator.space, evaluator.objective
        self.direction, self.epochs = evaluator.direction, evaluator.epochs
        self.device, self.threads = evaluator.device, evaluator.threads
        self._known = {
            (one["key"], one["seed"], one["asked"]): _result(one) for one in journal.events
        }

    def evaluate(
        self,
        x: Rows,
        seed: int = 0,
        *,
        epochs: int | None = None,
        state: Path | None = None,
        weights: Path | None = None,
        on_epoch: OnEpoch | None = None,
    ) -> Result:
        """The result of before, or a new one."""
        key = int(self.space.row_key(np.asarray(x)[None])[0])
        place = key, int(seed), int(epochs or 0)
        if place not in self._known:
            began = time.process_time()
            result = self.evaluator.evaluate(
                x, seed, epochs=epochs, state=state, weights=weights, on_epoch=on_epoch
            )
            self.spent_s += time.process_time() - began
            event = {"event": "cell", "key": key, "asked": place[2], **asdict(result)}
            self.journal.append(event)
            self._known[place] = result
        return self._known[place]


def _result(event: Mapping[str, Any]) -> Result:
    """As it was; numbers that JSON does not have are null in it."""
    metrics = {name: _number(value) for name, value in event["metrics"].items()}
    curve = {name: [_number(value) for value in some] for name, some in event["curve"].items()}
    rest = {name: event[name] for name in ("seconds", "seed", "error", "epochs")}
    return Result(metrics, curve, **rest)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
