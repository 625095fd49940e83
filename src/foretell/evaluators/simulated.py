"""Workers on a virtual clock: results come in the order in which real ones would have ended."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from typing import Self

from foretell.errors import SettingError
from foretell.evaluators.base import Evaluator, Job, Result
from foretell.evaluators.parts.guard import evaluate


class Simulated:
    """Evaluates jobs in this process, and says when W workers would have had them ready.

    A job occupies a worker for the seconds of its result, less what an earlier result of the same
    id has cost already; where results have no seconds, one for each epoch, or one. The clock moves
    with the results, and not while a strategy thinks.

    Args:
        evaluator: of a table, as a rule: `Lookup` knows seconds.
        workers: W, at least 1.

    Attributes:
        now_s: the virtual clock: when the last result ended.
        busy_s: seconds of work, of all workers together.

    >>> import numpy as np, foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> slow = ft.evaluator(lambda x: ft.Result({"val": 1.0}, seconds=float(x[0])), space)
    >>> workers = Simulated(slow, workers=2)
    >>> jobs = [Job(i, np.full(6, s), 0) for i, s in enumerate([4, 1, 2])]
    >>> [(job.id, workers.now_s) for job, _ in workers.run(jobs)]
    [(1, 1.0), (2, 3.0), (0, 4.0)]
    """

    def __init__(self, evaluator: Evaluator, workers: int = 1) -> None:
        if workers < 1:
            raise SettingError("workers", expected="at least 1", got=workers)
        self.evaluator, self.workers = evaluator, workers
        self.now_s = self.busy_s = 0.0
        self._paid: dict[int, tuple[float, int]] = {}  # id -> seconds and epochs so far

    def run(
        self, jobs: Iterable[Job | None], ready: Callable[[], bool] | None = None
    ) -> Iterator[tuple[Job, Result]]:
        """The result of each job, in the order in which they end; see `Workers.run`."""
        source = iter(jobs)
        out: list[tuple[float, int, Job, Result]] = []  # when it ends; begun earlier first on ties
        begun = 0
        while True:
            while len(out) < self.workers and (job := next(source, None)) is not None:
                result = evaluate(self.evaluator, job).result
                took = self._seconds(job.id, result)
                self.busy_s += took
                heapq.heappush(out, (self.now_s + took, begun, job, result))
                begun += 1
            if not out:
                return
            self.now_s, _, job, result = heapq.heappop(out)
            yield job, result

    def _seconds(self, id: int, result: Result) -> float:
        """What is still to be done of a result."""
        seconds, epochs = self._paid.get(id, (0.0, 0))
        self._paid[id] = (result.seconds, result.epochs)
        if result.seconds:
            return max(result.seconds - seconds, 0.0)
        return float(max(result.epochs - epochs, 1))

    def close(self, wait: bool = True) -> None:
        """Nothing to end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
