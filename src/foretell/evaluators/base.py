"""What an evaluator is, and how long one trial may take."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from contextvars import ContextVar
from typing import Literal

from foretell.errors import ForetellError
from foretell.history import Result
from foretell.spaces.base import Rows, Space

deadline: ContextVar[float | None] = ContextVar("deadline", default=None)  # as time.monotonic()


class TrialTimeout(ForetellError, TimeoutError):  # noqa: N818 - the builtin is TimeoutError
    """A trial took longer than it may."""


def pulse() -> None:
    """Called every now and then by whatever takes long: stops a trial whose `deadline` is over.

    Raises:
        TrialTimeout: the time is over.

    >>> pulse()
    >>> token = deadline.set(time.monotonic() - 1)
    >>> pulse()
    Traceback (most recent call last):
    ...
    foretell.evaluators.base.TrialTimeout: the trial's time is over
    >>> deadline.reset(token)
    """
    end = deadline.get()
    if end is not None and time.monotonic() > end:
        raise TrialTimeout("the trial's time is over")


class Evaluator(ABC):
    """Turns one architecture into a `Result`; picklable, so that workers can have it.

    A trial that cannot be evaluated is a `Result` with `error` set, never an exception: one bad
    network must not end a run. Only what is not the network's fault passes: `TrialTimeout`, for
    whoever set the `deadline`, and `RunError`, when a disk is full.

    One that trains may also take `weights` (a file to write them to), `state` (a file to continue
    from) and `until` (epochs after which to stop); workers pass only what a run asks for.
    """

    space: Space
    objective: str  # the metric that search reads: "val_acc", "val_r2", a table's column
    direction: Literal["max", "min"] = "max"
    device: str = "cpu"  # what it trains on, in torch's words; "auto" for CUDA where there is one
    threads: int = 1  # CPU threads of one evaluation

    @abstractmethod
    def evaluate(self, x: Rows, seed: int = 0) -> Result:
        """Evaluate the row `x`, shape (d,), with this trial's seed."""
