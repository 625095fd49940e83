"""This process, one call after another."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import ClassVar, ParamSpec, TypeVar

from foretell.evaluators.executors.base import Pool

P = ParamSpec("P")
T = TypeVar("T")


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


class Here(Pool):
    """Trials in this process.

    Args:
        executor: that calls.
        workers: as how many it counts, so that as many results are out at once.
        device: what trains here, for the label.
        warnings: what is not used.
    """

    one_process = True
    sees_disk: ClassVar[bool] = True

    def __init__(self, executor: InProcess, workers: int, device: str, warnings: list[str]) -> None:
        self._workers, self._device = workers, device
        super().__init__(executor)
        self.places, self.warnings = [self.label], warnings

    @property
    def label(self) -> str:
        """This process."""
        return f"trials run in this process, on {self._device}"

    @property
    def room(self) -> float:
        """At least one."""
        return max(self._workers, 1)
