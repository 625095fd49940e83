"""One network of a run, and how the journal tells of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from foretell.evaluators.base import Result
from foretell.runs import events
from foretell.spaces.base import Rows

SEARCHED = ("sample", "top")  # phases that are the search itself


@dataclass(frozen=True, eq=False)
class Trial:
    """One network of a run, finished or not.

    Args:
        id: its number in the order of the asks, from 0.
        phase: "sample", "top" (chosen by a predictor), "random" (the baseline) or "verdict" (the
            winner or the hand-made network once more, with another seed).
        x: its row, (d,).
        arch: the row as a string.
        seed: of its training.
        params: trainable numbers, NaN if they are not known.
        flops: of one forward pass, NaN if they are not known.
        costs: other costs that matter to the run, by name.
        replicate: 0 in the search, from 1 in the verdict.
        stopped: whether successive halving ended it before its last epoch.
        result: None until it has ended.
        value: the objective, NaN until it has ended and if it failed.
    """

    id: int
    phase: str
    x: Rows
    arch: str
    seed: int
    params: float = math.nan
    flops: float = math.nan
    costs: Mapping[str, float] = field(default_factory=dict)
    replicate: int = 0
    stopped: bool = False
    result: Result | None = None
    value: float = math.nan

    @property
    def epochs(self) -> int:
        """How many it has been trained for."""
        return self.result.epochs if self.result else 0

    @property
    def failed(self) -> bool:
        """Whether it ended without a usable number."""
        return self.result is not None and not self.result.ok

    @property
    def ok(self) -> bool:
        """Whether it ended with one."""
        return self.result is not None and self.result.ok

    @property
    def error(self) -> str:
        """Why it failed."""
        return self.result.error if self.result else ""

    @property
    def metrics(self) -> Mapping[str, float]:
        """What it gave."""
        return self.result.metrics if self.result else {}

    @property
    def curve(self) -> Mapping[str, list[float]]:
        """What it gave after each epoch."""
        return self.result.curve if self.result else {}

    @property
    def seconds(self) -> float:
        """What it took."""
        return self.result.seconds if self.result else 0.0

    def cost(self, name: str) -> float:
        """What it costs by one name: "params", "flops", "seconds" or one of the run's own."""
        own = {"params": self.params, "flops": self.flops, "seconds": self.seconds}
        return {**own, **self.costs}.get(name, math.nan)

    @classmethod
    def told(cls, event: events.Trial, objective: str) -> Self:
        """The trial that an event of a journal tells of, whoever trained it."""
        result = event.result
        if event.status != "ok" and not result.error:
            result = replace(result, error=f"no {objective}")
        return cls(
            id=event.id,
            phase=event.phase,
            x=np.array(event.x, dtype=np.int64),
            arch=event.arch,
            seed=event.seed,
            params=math.nan if event.params is None else event.params,
            flops=math.nan if event.flops is None else event.flops,
            costs={k: math.nan if v is None else v for k, v in event.costs.items()},
            replicate=event.replicate,
            stopped=event.stopped,
        ).ended(result, objective)

    def ended(self, result: Result, objective: str) -> Self:
        """The same trial with its result; one without a finite objective has failed."""
        value = result.metrics.get(objective, math.nan)
        if result.ok and not math.isfinite(value):
            result = replace(result, error=f"no finite {objective}")
        return replace(self, result=result, value=value if result.ok else math.nan)

    def at_rung(self, result: Result, value: float, ended_s: float) -> events.Rung:
        """What the journal says of a trial that may be trained on."""
        return events.Rung(
            id=self.id,
            seed=self.seed,
            error="",
            seconds=result.seconds,
            metrics=dict(result.metrics),
            curve=_tuples(result),
            epochs=result.epochs,
            ended_s=ended_s,
            usage=result.usage,
            value=value,
        )

    def event(self, ended_s: float = math.nan) -> events.Trial:
        """What the journal says of a trial that has ended."""
        result = self.result or Result()
        return events.Trial(
            id=self.id,
            phase=self.phase,
            arch=self.arch,
            x=tuple(self.x.tolist()),
            seed=self.seed,
            status="ok" if result.ok else "failed",
            error=result.error,
            metrics=dict(result.metrics),
            curve=_tuples(result),
            seconds=result.seconds,
            ended_s=ended_s,
            usage=result.usage,
            epochs=self.epochs,
            stopped=self.stopped,
            replicate=self.replicate,
            costs=dict(self.costs),
            params=None if math.isnan(self.params) else int(self.params),
            flops=None if math.isnan(self.flops) else int(self.flops),
        )


def _tuples(result: Result) -> dict[str, tuple[float | None, ...]]:
    return {name: tuple(values) for name, values in result.curve.items()}


def rank(trial: Trial) -> tuple[float, float, int]:
    """For `max`: by the objective; ties go to the lower validation loss, then the older trial."""
    loss = trial.result.metrics.get("val_loss", math.nan) if trial.result else math.nan
    return trial.value, -loss if math.isfinite(loss) else -math.inf, -trial.id
