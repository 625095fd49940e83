"""The one loop: ask, evaluate, tell, for runs, studies and races alike."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from foretell._rng import derive
from foretell.errors import SettingError
from foretell.evaluators.base import Evaluator, Job, Result, Runs
from foretell.search.asktell import Search
from foretell.search.strategy import Proposal
from foretell.spaces.base import Rows


@dataclass(frozen=True, eq=False)
class Asked:
    """One evaluation that a search wants.

    Args:
        id: of the row, as in the search's history.
        x: the row, (d,).
        key: `space.row_key` of it.
        epochs: how far; 0 where there is nothing to train.
        new: whether the row is; else it is trained on.
    """

    id: int
    x: Rows
    key: int
    epochs: int
    new: bool = True


class Book(Protocol):
    """What a loop tells whoever writes a search down, and what it asks there."""

    def job(self, asked: Asked) -> Job:
        """How the evaluation is to be done."""

    def asks(self) -> None:
        """A strategy is about to be asked."""

    def asked(self, asked: Sequence[Asked], proposal: Proposal, seconds: float) -> None:
        """It wants these, after so many seconds; they are not begun yet."""

    def result(self, asked: Asked, result: Result, ended_s: float) -> None:
        """A result has come; the search is told afterwards."""

    def over(self) -> bool:
        """Whether nothing new may begin; asked when something would."""

    def now_s(self) -> float | None:
        """Seconds since the search began; None: those of the workers' clock."""


class Unwritten:
    """A book for searches that nobody writes down.

    Args:
        seed: that of row x is derived from (seed, "trial", row_key(x), 0).
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def job(self, asked: Asked) -> Job:
        """A job without files."""
        seed = derive(self.seed, "trial", asked.key, 0)
        return Job(asked.id, asked.x, seed, epochs=asked.epochs or None)

    def asks(self) -> None:
        """Nothing."""

    def asked(self, asked: Sequence[Asked], proposal: Proposal, seconds: float) -> None:
        """Nothing."""

    def result(self, asked: Asked, result: Result, ended_s: float) -> None:
        """Nothing."""

    def over(self) -> bool:
        """Never."""
        return False

    def now_s(self) -> float | None:
        """That of the workers."""
        return None


class Loop:
    """Asks a search for rows, has them evaluated, and tells it the results.

    A synchronous strategy is asked when all that was out is told, for as many rows as it wants,
    and told in the order of asking: what it does depends on its settings and never on the number
    of workers. An asynchronous one is asked whenever a worker is free, and told at once.

    Strategies are told the metric `val_*` that the evaluator names, `val_*` and `train_*` curves,
    and nothing of a test split.

    Args:
        search: where to ask, and whom to tell.
        evaluator: whose results these are: its objective is what the search is told.
        workers: evaluate jobs: `Workers`, or `Simulated` ones.
        networks: new rows that may begin.
        book: where the search is written down.
        breaks: numbers of rows that no ask crosses.

    Raises:
        SettingError: the objective is not one of a validation split, or its direction is not the
            search's.

    >>> import foretell as ft
    >>> from foretell.evaluators.simulated import Simulated
    >>> space = ft.spaces.get("nb201")
    >>> fn = ft.evaluator(lambda x: float((x == 3).sum()), space)
    >>> loop = Loop(ft.Search(space, "random"), fn, Simulated(fn, workers=4), networks=50)
    >>> sum(1 for _ in loop.run())
    50
    >>> loop.search.best_value
    4.0
    """

    def __init__(
        self,
        search: Search,
        evaluator: Evaluator,
        workers: Runs,
        networks: int,
        book: Book | None = None,
        breaks: Sequence[int] = (),
    ) -> None:
        if not evaluator.objective.startswith("val"):
            raise SettingError(
                "a search reads validation metrics alone",
                expected="an objective that begins with val",
                got=repr(evaluator.objective),
            )
        if evaluator.direction != search.direction:
            raise SettingError(
                f"direction of {evaluator.objective}",
                expected=repr(evaluator.direction),
                got=repr(search.direction),
            )
        self.search, self.workers, self.networks = search, workers, networks
        self.objective = evaluator.objective
        self.book: Book = book or Unwritten(search.seed)
        self.breaks = tuple(breaks)
        self._queue: list[Asked] = []  # not begun, the next one last
        self._out: dict[int, Asked] = {}  # asked and not ended, by id
        self._round: list[tuple[Asked, Result, float]] = []  # ended, not told

    @property
    def incomplete(self) -> bool:
        """Whether something was asked that has no result, because the book was over."""
        return bool(self._out)

    def run(self) -> Iterator[tuple[Asked, Result]]:
        """Each result as it comes, written down; told, too, unless its round is not complete."""
        running: dict[int, Asked] = {}
        for job, result in self.workers.run(self._jobs(running), self._ready):
            asked = running.pop(job.id)
            own = self.book.now_s()
            now = self.workers.now_s if own is None else own
            self.book.result(asked, result, now)
            self._end(asked, result, now)
            yield asked, result

    def _ready(self) -> bool:
        """Whether the next job was asked for already."""
        return bool(self._queue) and not self.search.strategy.asynchronous

    def _jobs(self, running: dict[int, Asked]) -> Iterator[Job | None]:
        """What to evaluate next, as workers ask for it."""
        while True:
            n = self._wanted()
            if (n or self._queue) and self.book.over():
                return
            if n:
                self._ask(n)
            if self._queue:
                asked = self._queue.pop()
                job = self.book.job(asked)
                running[job.id] = asked
                yield job
            elif running:
                yield None
            else:
                return

    def _wanted(self) -> int:
        """How many rows the strategy is to be asked for now; 0 while it is not its turn."""
        asynchronous = self.search.strategy.asynchronous
        if self._out and not asynchronous:
            return 0
        if due := self.search.due:
            return 1 if asynchronous else due
        return 0 if self._queue else max(self._room(), 0)

    def _ask(self, n: int) -> None:
        self.book.asks()
        began = time.monotonic()
        X, epochs = self.search.ask_epochs(n)
        proposal = self.search.proposal
        assert proposal is not None  # of this ask
        if len(X):
            self.book.asked(self.enter(X, epochs), proposal, time.monotonic() - began)

    def _room(self) -> int:
        """How many new rows may be asked for now."""
        done = self.search.n_rows
        left = self.networks - done
        size = self.search.round_size
        n = left if size is None else min(size, left)
        for stop in self.breaks:
            n = min(n, stop - done) if done < stop else n
        return n

    def enter(self, X: Rows, epochs: Sequence[int] | np.ndarray) -> list[Asked]:
        """Rows that the search has out from now on wait for their turn."""
        keys = self.search.space.row_key(X)
        ids = self.search.ids(keys)
        asked = [
            Asked(ids[i], x, int(keys[i]), int(epochs[i]), not self.search.is_told(ids[i]))
            for i, x in enumerate(X)
        ]
        self._queue += asked
        # who is to go furthest goes first; then the older row
        self._queue.sort(key=lambda one: (one.new, -one.epochs, one.id), reverse=True)
        self._out |= {one.id: one for one in asked}
        return asked

    def _end(self, asked: Asked, result: Result, now: float) -> None:
        """Tell the search, when its time has come."""
        del self._out[asked.id]
        self._round.append((asked, result, now))
        if not self._out or self.search.strategy.asynchronous:
            self.settle()

    def settle(self) -> None:
        """Tell what has ended: of a round that stays incomplete, too, once the book is over."""
        if not self._round:
            return
        self._round.sort(key=lambda one: one[0].id)
        told, self._round = self._round, []
        results = [result for _, result, _ in told]
        self.search.tell(
            np.stack([asked.x for asked, _, _ in told]),
            [value(result, self.objective) for result in results],
            [result.seconds for result in results],
            epochs=[self._reached(asked, result) for asked, result, _ in told],
            curves=_curves(results),
            ended_s=[ended_s for _, _, ended_s in told],
        )

    def _reached(self, asked: Asked, result: Result) -> int:
        """How far a row has come: all the way, if its training has ended by itself."""
        early = result.ok and 0 < result.epochs < asked.epochs
        return self.search.max_epochs if early else asked.epochs

    # -- from a journal -----------------------------------------------------------------------

    def replay_ask(self, X: Rows, epochs: Sequence[int] | None = None) -> list[Asked]:
        """Take an ask from a journal; rows that are known as far already are passed over."""
        known = self.search.history
        far = dict(zip(known.latest.ids.tolist(), known.latest.epochs.tolist(), strict=True))
        wanted = [self.search.max_epochs] * len(X) if epochs is None else list(epochs)
        keys = {int(key): i for i, key in enumerate(self.search.space.row_key(X))}
        old = {int(k): int(i) for k, i in zip(
            self.search.space.row_key(known.X), known.ids, strict=True)}  # fmt: skip
        new = [i for key, i in keys.items() if key not in old or far[old[key]] < wanted[i]]
        if not new:
            return []
        rows, reach = X[new], [wanted[i] for i in new]
        self.search.replay(rows, reach)
        return self.enter(rows, reach)

    def replay_result(self, id: int, result: Result, ended_s: float) -> None:
        """Take a result from a journal.

        What was trained on is in the journal of older runs without an ask: the strategy says now
        what it had asked for then.
        """
        if id not in self._out and (due := self.search.due):
            self.enter(*self.search.ask_epochs(due))
        if id not in self._out:
            at = int(np.flatnonzero(self.search.history.ids == id)[0])
            self.replay_ask(self.search.history.X[at : at + 1], [result.epochs])
        asked = self._out.get(id)
        if asked is not None:
            self._queue.remove(asked)
            self._end(asked, result, ended_s)


def value(result: Result, objective: str) -> float:
    """What a search is told of a result; NaN where it has failed."""
    return result.metrics.get(objective, math.nan) if result.ok else math.nan


def _curves(results: Sequence[Result]) -> dict[str, np.ndarray]:
    """Curves of validation and training, (n, e), NaN where a result has none."""
    names = dict.fromkeys(name for result in results for name in result.curve)
    out = {}
    for name in names:
        if name.startswith(("val", "train")):
            lists = [result.curve.get(name, []) for result in results]
            out[name] = np.full((len(results), max(map(len, lists))), np.nan)
            for row, values in zip(out[name], lists, strict=True):
                row[: len(values)] = values
    return out
