"""Dask: `Client.get_executor()`; it repeats by its own `allowed-failures` what it lost."""

from __future__ import annotations

import sys
from concurrent.futures import Executor, Future
from typing import TypeVar

from foretell.evaluators.executors.base import Lost, Pool, died
from foretell.evaluators.parts.guard import Guard

T = TypeVar("T")


def is_dask(executor: Executor) -> bool:
    """Whether it is Dask's, which is then imported already."""
    return any(kind.__module__.partition(".")[0] == "distributed" for kind in type(executor).mro())


class Dask(Pool):
    """A cluster of Dask."""

    def lost(
        self, future: Future[T], error: BaseException, guard: Guard, took_s: float, attempts: int
    ) -> Lost | None:
        """Too many workers died under a call."""
        if isinstance(error, sys.modules["distributed"].KilledWorker):
            return died(error, guard, took_s)
        return None
