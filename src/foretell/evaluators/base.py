"""What an evaluator is, and how long one trial may take."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from foretell.errors import ForetellError
from foretell.spaces.base import Rows, Space
from foretell.training.usage import Usage

OnEpoch = Callable[[int, dict[str, float]], None]

deadline: ContextVar[float | None] = ContextVar("deadline", default=None)  # as time.monotonic()
overdrawn: ContextVar[threading.Event | None] = ContextVar("overdrawn", default=None)  # of memory


@dataclass(frozen=True)
class Result:
    """What evaluating one architecture gave.

    Args:
        metrics: split-named numbers, e.g. {"val_acc": 0.91, "val_loss": 0.3}. Search reads `val_*`
            only; `test_*` is for the report.
        curve: per-epoch values of some metrics, oldest first.
        seconds: what it cost, wall clock, with the attempts that it went on from.
        seed: the seed of this trial.
        error: empty when all went well, else why the trial failed, in one line.
        epochs: how far it was trained; the length of the curve unless said.
        usage: where the seconds of this attempt went, of what is really trained.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    curve: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0
    seed: int = 0
    error: str = ""
    epochs: int = 0
    usage: Usage | None = None

    def __post_init__(self) -> None:
        if not self.epochs:
            object.__setattr__(self, "epochs", max(map(len, self.curve.values()), default=0))

    @property
    def ok(self) -> bool:
        """Whether the trial finished with usable numbers."""
        return not self.error


@dataclass(frozen=True)
class Job:
    """One evaluation to be done: `x` (d,) with its seed.

    Its weights go to the file `weights`; `state` is where a half-trained network is kept and
    continued; `epochs` ends the training there.
    """

    id: int
    x: Rows
    seed: int
    weights: Path | None = None
    state: Path | None = None
    epochs: int | None = None


class Runs(Protocol):
    """What evaluates jobs, in parallel or as if: local processes, a cluster, a simulation."""

    @property
    def now_s(self) -> float:
        """Seconds on its clock."""

    def run(
        self, jobs: Iterable[Job | None], ready: Callable[[], bool] | None = None
    ) -> Iterator[tuple[Job, Result]]:
        """The result of each job, in the order in which they end.

        The next job is asked for whenever there is room, so that it may depend on the results so
        far. None means: nothing now, ask again after the next result. Results that have ended are
        handed over first, unless the next job is `ready`: then it does not depend on them.
        """


class TrialTimeout(ForetellError, TimeoutError):  # noqa: N818  # as the builtin, whose name says it
    """A trial took longer than it may."""


def pulse() -> None:
    """Called every now and then by whatever takes long: stops a trial whose `deadline` is over.

    Raises:
        TrialTimeout: the time is over.
        MemoryError: it has taken more memory than it may, where that is watched.

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
    over = overdrawn.get()
    if over is not None and over.is_set():
        raise MemoryError("the trial's limit")


class Evaluator(ABC):
    """Turns one architecture into a `Result`; picklable, so that workers can have it.

    A trial that cannot be evaluated is a `Result` with `error` set, never an exception: one bad
    network must not end a run. Only what is not the network's fault passes: `TrialTimeout`, for
    whoever set the `deadline`, and `RunError`, when a disk is full.
    """

    space: Space
    objective: str  # the metric that search reads: "val_acc", "val_r2", "val_loss"
    direction: Literal["max", "min"] = "max"  # which end of it is good
    epochs: int = 0  # of a whole evaluation; 0 where there is nothing to train
    device: str = "cpu"  # what it trains on, in torch's words; "auto" for CUDA where there is one
    threads: int = 1  # CPU threads of one evaluation

    @abstractmethod
    def evaluate(
        self,
        x: Rows,
        seed: int = 0,
        *,
        epochs: int | None = None,
        state: Path | None = None,
        weights: Path | None = None,
        on_epoch: OnEpoch | None = None,
    ) -> Result:
        """Evaluate the row `x`, shape (d,), with this trial's seed.

        Whoever has no use for one of the others leaves it alone.

        Args:
            x: shape (d,).
            seed: of this trial; equal seeds give equal results.
            epochs: how far, 1 to `self.epochs`; None for all the way.
            state: a file that a half-way evaluation is kept in, and goes on from.
            weights: a file for the trained weights, once all the way is gone.
            on_epoch: called after each epoch with its number, from 0, and its metrics.
        """

    def identity(self) -> Any:
        """All that a curve depends on beside row and seed, for `evidence` to know it again."""
        return self

    def test(self, x: Rows, weights: Path | None = None) -> dict[str, float]:
        """`test_*` metrics of the row `x`, (d,), asked once for each network that is reported.

        Args:
            x: shape (d,).
            weights: the file that `evaluate` wrote, if it wrote one.
        """
        return {}

    def validate(self, model: Any, split: str = "val") -> dict[str, float]:
        """Metrics of a trained network on a split, to compare one that was read back.

        Args:
            model: an `nn.Module`.
            split: "val" or "test".
        """
        return {}
