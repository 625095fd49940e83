"""What `Workers` needs to know of the place where trials run."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import ClassVar, ParamSpec, TypeVar

from foretell.evaluators.parts.guard import Guard

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Lost:
    """An attempt whose worker is gone.

    Args:
        reason: why, in one line, should it not be repeated.
        alone: whether it is to be repeated alone, because it may have killed its worker.
    """

    reason: str
    alone: bool


class Backend(ABC):
    """Runs calls, tells which of them were lost, and says where they run.

    Attributes:
        places: where trials run, one line a worker.
        warnings: what is not used, one line each.
        ends_late: whether a call may end its process when it does not answer any more.
        one_process: whether trials share a process, so that memory cannot be limited.
        sees_disk: whether its workers see the driver's disk for sure.
    """

    places: list[str]
    warnings: list[str]
    ends_late: ClassVar[bool] = False
    one_process: bool = False
    sees_disk: ClassVar[bool] = False

    @property
    @abstractmethod
    def room(self) -> float:
        """How many calls it takes at once; infinity where nobody knows."""

    @abstractmethod
    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """A future of `fn(*args, **kwargs)`; asked for no more than `room` at once."""

    def lost(
        self, future: Future[T], error: BaseException, guard: Guard, took_s: float, attempts: int
    ) -> Lost | None:
        """What it means that a future has raised `error`; None where no worker was lost.

        Args:
            future: that has ended.
            error: which it raised.
            guard: what the call was allowed.
            took_s: how long it took.
            attempts: how often this trial has lost its worker, with this time.
        """
        return None

    def latest_s(self, future: Future[T], guard: Guard) -> float | None:
        """Seconds after its submission in which a future has ended if all is well; None where
        nobody can say it."""
        return None

    def renew(self) -> None:  # noqa: B027  # most have no processes of their own
        """The next call is a trial that is repeated: let it run where nothing has happened yet."""

    def overdue(self, future: Future[T]) -> None:  # noqa: B027  # most cannot end a call
        """End a call that has not ended in that time; it may not end even so."""

    def ended(self, future: Future[T]) -> None:  # noqa: B027  # most have nothing to free
        """A future has ended, and was asked for all that it says."""

    def drop(self, future: Future[T]) -> None:
        """Nobody waits for this future any more."""
        future.cancel()

    def close(self, wait: bool) -> None:  # noqa: B027  # an executor of the user's stays open
        """End what the backend has started; without `wait` in the middle of what it does."""


class Pool(Backend):
    """Any executor: calls go to it as they are.

    Args:
        executor: of `concurrent.futures`' kind; it stays open.
    """

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.places = [self.label + self.at_once]
        self.warnings = []

    @property
    def label(self) -> str:
        """Where trials run, in words."""
        return f"trials run on {type(self.executor).__name__}"

    @property
    def at_once(self) -> str:
        """How many at once, in words."""
        return f", up to {self.room} trials at once" if self.room < math.inf else ""

    @property
    def room(self) -> float:
        """Nobody knows."""
        return math.inf

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As the executor does."""
        return self.executor.submit(fn, *args, **kwargs)


def died(error: BaseException, guard: Guard, took_s: float) -> Lost:
    """A worker elsewhere that is gone, and maybe because it was late."""
    line = " ".join(str(error).split()).partition(". ")[0][:300]
    ended = guard.kill_s is not None and took_s > guard.kill_s
    late = f"took longer than {guard.timeout_s:g} s, or " if ended else ""
    return Lost(f"{late}its worker died: {line}", alone=not ended)  # neighbours are suspected too
