"""Trials in parallel, on any `concurrent.futures.Executor`; local processes by default."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, Self, TypeVar

from foretell.errors import RunError, SettingError
from foretell.evaluators.base import Evaluator
from foretell.history import Result
from foretell.spaces.base import Rows

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Job:
    """One trial to be done: `x` (d,) with its seed; its weights go to the file `weights`."""

    id: int
    x: Rows
    seed: int
    weights: Path | None = None


class InProcess(Executor):
    """Runs each call at once, in this process; for debugging, and for what is over in no time."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """The finished future of `fn(*args, **kwargs)`."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class Workers:
    """Evaluates jobs in parallel and gives each result as soon as it is there.

    Local workers are processes of their own: one that is killed (out of memory, `kill -9`) takes
    no other trial with it. The trials that were in work then are tried again alone, `retries`
    times, so that a network which kills its worker is found out and fails by itself. Workers end
    when this process ends, however it ends.

    Args:
        evaluator: evaluates one row; sent to the workers, so it must be picklable.
        workers: number of local processes; 0 evaluates in this process.
        executor: used instead of local processes; it stays open.
        retries: how often a trial is tried again whose worker died.

    Raises:
        SettingError: `workers` is negative.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        *,
        workers: int = 2,
        executor: Executor | None = None,
        retries: int = 1,
    ) -> None:
        if workers < 0:
            raise SettingError("workers", expected="0 or more", got=workers)
        self.evaluator, self.workers, self.retries = evaluator, workers, retries
        self._own, self._foreign = executor is None and workers > 0, executor is not None
        self._executor = executor if executor or workers else InProcess()

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Result]]:
        """The result of each job, in the order in which they end; a failed one has `error` set.

        Raises:
            RunError: the executor itself does not work, e.g. the evaluator cannot be sent.
        """
        todo, suspects = deque(jobs), deque[Job]()
        lost: dict[int, int] = {}
        out: dict[Future[Result], Job] = {}
        while todo or suspects or out:
            # own workers get one job each, so that a dead one says which jobs were in work
            room = len(jobs) if self._foreign else max(self.workers, 1)
            alone = any(job.id in lost for job in out.values())
            while (suspects and not out) or (
                todo and not suspects and not alone and len(out) < room
            ):
                job = (suspects or todo).popleft()
                alone = job.id in lost
                out[self._submit(job)] = job
            done, _ = wait(out, return_when=FIRST_COMPLETED)
            if any(isinstance(future.exception(), BrokenExecutor) for future in done):
                done, _ = wait(out)  # all that were in work are lost
                self._executor = None if self._own else self._executor
            for future in sorted(done, key=lambda f: out[f].id):
                job, error = out.pop(future), future.exception()
                if error is None:
                    yield job, future.result()
                elif not (self._own and isinstance(error, BrokenExecutor)):
                    raise _unusable(error) from error
                elif lost.setdefault(job.id, 0) < self.retries:
                    lost[job.id] += 1
                    suspects.append(job)
                else:
                    reason = f"its worker process died {lost[job.id] + 1} times{_exit_codes(error)}"
                    yield job, Result(seed=job.seed, error=reason)

    def _submit(self, job: Job) -> Future[Result]:
        for _ in range(2):
            if self._executor is None:
                self._executor = _local(self.workers)
            try:
                return self._executor.submit(evaluate, self.evaluator, job.x, job.seed, job.weights)
            except BrokenExecutor as error:  # died while idle
                if not self._own:
                    raise _unusable(error) from error
                self._executor = None
        raise RunError("local workers die as soon as they start", hint="try workers=0")

    def close(self, wait: bool = True) -> None:
        """End local workers; with `wait` False in the middle of what they do."""
        if self._own and self._executor is not None:
            self._executor.shutdown(wait=True, kill_workers=not wait)  # type: ignore[call-arg]
            self._executor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.close(wait=kind is None)


def evaluate(evaluator: Evaluator, x: Rows, seed: int, weights: Path | None) -> Result:
    """One trial, in a worker; whatever the evaluator raises is the reason why it failed."""
    started = time.perf_counter()
    extra: dict[str, Any] = {} if weights is None else {"weights": weights}
    try:
        return evaluator.evaluate(x, seed=seed, **extra)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return Result(seed=seed, seconds=time.perf_counter() - started, error=reason[:500])


def threads_per_worker(workers: int) -> int:
    """Share of the usable cores that one of `workers` processes gets, at least 1."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, cores // max(1, workers))


def _local(workers: int) -> Executor:
    import loky

    threads = str(threads_per_worker(workers))
    env = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), threads)
    executor: Executor = loky.ProcessPoolExecutor(
        workers, initializer=_begin, initargs=(os.getpid(),), env=env
    )
    return executor


def _begin(driver: int) -> None:
    """In a new worker: the driver answers Ctrl-C, and without a driver there is nothing to do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == driver:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _exit_codes(error: BrokenExecutor) -> str:
    """What loky says of how the workers ended."""
    codes = re.search(r"exit codes of the workers are \{(.*?)\}", str(error))
    return f" ({codes[1]}): out of memory, or a crash in compiled code" if codes else ""


def _unusable(error: BaseException) -> RunError:
    return RunError(
        f"trials cannot be run on the executor: {type(error).__name__}: {error}",
        hint="finished trials are kept: mend the cause and run the same command again",
    )
