"""Pools of threads or processes, of the standard library and alike."""

from __future__ import annotations

import math
from concurrent.futures import Executor, ThreadPoolExecutor

from foretell.evaluators.executors.base import Pool


class Sized(Pool):
    """A pool of a fixed size; an executor that has none takes all calls at once.

    Pools of the standard library and of loky tell their size nowhere but in `_max_workers`.
    """

    def __init__(self, executor: Executor) -> None:
        super().__init__(executor)
        self.one_process = isinstance(executor, ThreadPoolExecutor)

    @property
    def room(self) -> float:
        """Its size."""
        return getattr(self.executor, "_max_workers", None) or math.inf
