"""What an evaluator is, and how long one trial may take."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal

from foretell.errors import ForetellError
from foretell.spaces.base import Rows, Space

deadline: ContextVar[float | None] = ContextVar("deadline", default=None)  # as time.monotonic()


@dataclass(frozen=True)
class Result:
    """What evaluating one architecture gave.

    Args:
        metrics: split-named numbers, e.g. {"val_acc": 0.91, "val_loss": 0.3}. Search reads `val_*`
            only; `test_*` is for the report.
        curve: per-epoch values of some metrics, oldest first.
        seconds: what it cost, wall clock.
        seed: the seed of this trial.
        error: empty when all went well, else why the trial failed, in one line.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    curve: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0
    seed: int = 0
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether the trial finished with usable numbers."""
        return not self.error

    @property
    def epochs(self) -> int:
        """How many it was trained for."""
        return max(map(len, self.curve.values()), default=0)


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
