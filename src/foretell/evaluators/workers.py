"""Trials in parallel, on any `concurrent.futures.Executor`; local processes by default."""

from __future__ import annotations

import math
import os
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Executor, Future
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Self

from foretell._files import write_bytes, write_text
from foretell.errors import ForetellError, RunError, SettingError
from foretell.evaluators.base import Evaluator, Job, Result
from foretell.evaluators.executors import choose
from foretell.evaluators.parts.guard import TOKEN, Guard, Outcome, evaluate


@dataclass
class _Attempt:
    """One attempt at a job."""

    job: Job
    repeated: int = 0
    alone: bool = False  # its worker died: nothing else is in work beside it
    seconds: float = 0.0  # of the attempts before
    since: float = 0.0


class Workers:
    """Evaluates jobs in parallel and gives each result as soon as it is there.

    Local workers are processes of their own, each with one job and, where there are any, one
    device: one that is killed (out of memory, `kill -9`) takes no other trial with it. The trial
    is repeated alone, so that a network which kills its worker is found out and fails by itself.
    Workers end when this process ends, however it ends.

    An executor of yours repeats by its own rules what it lost (Ray: `max_retries`; Dask:
    `allowed-failures`) before it counts here. Where its workers do not see the driver's disk,
    weights come back with the results, and half-trained networks are not kept.

    Args:
        evaluator: evaluates one row; sent to the workers, so it must be picklable. It says the
            `device` that it trains on, and how many `threads`.
        workers: number of local processes; 0 evaluates in this process.
        executor: used instead of local processes; it stays open.
        max_retries: how often a trial is repeated whose worker died or that took too long.
        timeout_s: seconds that one attempt may take, as far as the evaluator asks `pulse()`. A
            process that does not answer is ended after a fifth of it, or 5 s, more (local workers
            and Ray only).
        memory_gb: main memory that one trial may take, and as much of its card's, in 10^9 bytes; on
            Linux, in workers that are processes and have one trial at a time.
        devices: what local workers share out, as CUDA_VISIBLE_DEVICES says it; None to ask.

    Attributes:
        places: where trials run, one line a worker.
        warnings: what is not used, one line each.

    Raises:
        SettingError: a number is out of range, or the limit on memory cannot be held.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        *,
        workers: int = 2,
        executor: Executor | None = None,
        max_retries: int = 1,
        timeout_s: float | None = None,
        memory_gb: float | None = None,
        devices: Sequence[str] | None = None,
    ) -> None:
        for name, count in (("workers", workers), ("max_retries", max_retries)):
            if count < 0:
                raise SettingError(name, expected="0 or more", got=count)
        for name, limit in (("timeout_s", timeout_s), ("memory_gb", memory_gb)):
            if limit is not None and not 0 < limit < math.inf:
                raise SettingError(name, expected="a number above 0", got=limit)
        self.evaluator, self.workers, self.max_retries = evaluator, workers, max_retries
        self._began = time.monotonic()
        self._backend = choose.backend(executor, workers, evaluator, devices)
        if memory_gb is not None and self._backend.one_process:
            raise SettingError(
                "memory_gb", expected="workers that are processes", got="trials in this process"
            )
        ends = self._backend.ends_late
        self._guard = Guard(
            timeout_s,
            memory_gb,
            os.getpid(),
            kill_s=timeout_s + max(5.0, 0.2 * timeout_s) if timeout_s and ends else None,
            token="" if self._backend.sees_disk else uuid.uuid4().hex,
            ends=ends,
        )
        self.places, self.warnings = self._backend.places, self._backend.warnings

    @property
    def room(self) -> float:
        """How many jobs may be in work at once; infinity where an executor does not say it."""
        return self._backend.room

    @property
    def now_s(self) -> float:
        """Seconds since these workers were made."""
        return time.monotonic() - self._began

    def run(
        self, jobs: Iterable[Job | None], ready: Callable[[], bool] | None = None
    ) -> Iterator[tuple[Job, Result]]:
        """The result of each job, in the order in which they end; a failed one has `error` set.

        Args:
            jobs: asked for the next one whenever there is room, so that it may decide by the
                results so far. None means: nothing now, ask again after the next result.
            ready: whether the next job is known whatever has ended: a free worker then begins it
                before the results that have ended are handed over.

        Raises:
            RunError: the executor itself does not work, e.g. the evaluator cannot be sent.
        """
        source = iter(jobs)
        out: dict[Future[Outcome], _Attempt] = {}
        ended: SimpleQueue[Future[Outcome]] = SimpleQueue()
        again: deque[_Attempt] = deque()
        marked: set[Path] = set()
        try:
            while True:
                while (ended.empty() or (ready is not None and ready())) and (
                    attempt := self._next(source, again, out)
                ):
                    self._mark(attempt.job, marked)
                    future = self._submit(attempt)
                    out[future] = attempt
                    future.add_done_callback(ended.put)
                if not out and ended.empty():
                    return
                try:
                    future = ended.get(timeout=self._patience_s(out))
                except Empty:
                    for late in self._give_up(out):
                        ended.put(late)
                    continue
                if future not in out:  # it was given up, and has ended after all
                    continue
                attempt = out.pop(future)
                try:
                    result = self._result(future, attempt)
                finally:
                    self._backend.ended(future)
                if result is None:
                    again.append(attempt)
                else:
                    yield attempt.job, result
        finally:
            for future in out:
                self._backend.drop(future)
            for folder in marked:
                (folder / TOKEN).unlink(missing_ok=True)

    def _patience_s(self, out: Mapping[Future[Outcome], _Attempt]) -> float | None:
        """Seconds until one of them should have ended; None where nobody can say it."""
        ends = [one.since + limit for future, one in out.items()
                if (limit := self._backend.latest_s(future, self._guard)) is not None]  # fmt: skip
        return max(0.0, min(ends) - time.perf_counter()) if ends else None

    def _give_up(self, out: Mapping[Future[Outcome], _Attempt]) -> list[Future[Outcome]]:
        """Those that have not ended in time, and not by force."""
        late = []
        for future, attempt in out.items():
            limit = self._backend.latest_s(future, self._guard)
            if limit is not None and time.perf_counter() >= attempt.since + limit:
                self._backend.overdue(future)
                late += [] if future.done() else [future]
        return late

    def _next(
        self,
        source: Iterator[Job | None],
        again: deque[_Attempt],
        out: dict[Future[Outcome], _Attempt],
    ) -> _Attempt | None:
        """What to start now; None to wait for a result."""
        if len(out) >= self.room or (len(out) == 1 and next(iter(out.values())).alone):
            return None
        if again:
            return again.popleft() if not (again[0].alone and out) else None
        job = next(source, None)
        return None if job is None else _Attempt(job)

    def _submit(self, attempt: _Attempt) -> Future[Outcome]:
        attempt.since = time.perf_counter()
        try:
            if attempt.repeated:
                self._backend.renew()
            return self._backend.submit(evaluate, self.evaluator, attempt.job, self._guard)
        except Exception as error:
            raise error if isinstance(error, ForetellError) else _unusable(error) from error

    def _result(self, future: Future[Outcome], attempt: _Attempt) -> Result | None:
        """The result of an attempt that has ended; None to repeat it."""
        took_s = time.perf_counter() - attempt.since
        error: BaseException | None = None
        if future.cancelled():
            error = CancelledError("cancelled")
        elif future.done():
            error = future.exception()
        if not future.done():
            limit = self._guard.timeout_s
            reason = f"took longer than {limit:g} s, and its process cannot be ended"
        elif error is None:
            outcome = future.result()
            if not outcome.timed_out:
                return self._kept(attempt.job, outcome)
            reason, took_s = outcome.result.error, outcome.result.seconds
        else:
            times = attempt.repeated + 1
            lost = self._backend.lost(future, error, self._guard, took_s, times)
            if lost is None:
                raise error if isinstance(error, ForetellError) else _unusable(error) from error
            reason, attempt.alone = lost.reason, attempt.alone or lost.alone
        attempt.seconds += took_s
        if attempt.repeated < self.max_retries:
            attempt.repeated += 1
            return None
        return Result(seed=attempt.job.seed, seconds=attempt.seconds, error=reason)

    def _kept(self, job: Job, outcome: Outcome) -> Result:
        """The result, with weights that came with it written to their file."""
        if outcome.weights is not None and job.weights is not None:
            try:
                write_bytes(job.weights, outcome.weights)
            except OSError as error:
                raise RunError(
                    f"cannot write the weights {job.weights}",
                    got=error,
                    hint="finished trials are kept: make room and run the same command again",
                ) from error
        return outcome.result

    def _mark(self, job: Job, marked: set[Path]) -> None:
        """Leave a file beside the weights, which workers see if they share the disk."""
        if self._guard.token and job.weights is not None and job.weights.parent not in marked:
            job.weights.parent.mkdir(parents=True, exist_ok=True)
            write_text(job.weights.parent / TOKEN, self._guard.token)
            marked.add(job.weights.parent)

    def close(self, wait: bool = True) -> None:
        """End local workers; with `wait` False in the middle of what they do."""
        self._backend.close(wait)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.close(wait=kind is None)


def _unusable(error: BaseException) -> RunError:
    return RunError(
        f"trials cannot be run on the executor: {type(error).__name__}: {error}",
        hint="finished trials are kept: mend the cause and run the same command again",
    )
