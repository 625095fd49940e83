"""The events of a journal: what each kind holds. One record a kind, one writer, one reader.

A line of the journal is a record as JSON, with its kind under "event". What journals of older
runs lack keeps its default; numbers that JSON does not have are null.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, TypeVar

from foretell.evaluators.base import Result
from foretell.training.usage import Usage
from foretell.typed import REST, Reader, plain

Numbers = dict[str, float | None]
_OMIT: Mapping[str, Any] = {"omit": True}  # metadata of what is not written while it is None

E = TypeVar("E", bound="Record")


@dataclass(frozen=True)
class Record:
    """One event."""

    kind: ClassVar[str]

    @classmethod
    def required(cls) -> list[str]:
        """Names without which it is no such event."""
        plain_ = (one for one in fields(cls) if one.default is one.default_factory is MISSING)
        return [one.name for one in plain_]

    def written(self) -> dict[str, Any]:
        """The event as JSON has it."""
        found = plain(self)
        for one in fields(self):
            if one.metadata.get("omit") and found[one.name] is None:
                del found[one.name]
        return {"event": self.kind, **found}


@dataclass(frozen=True)
class Ask(Record):
    """Networks are wanted: by the search, or beside it.

    Args:
        phase: "sample", "top" (chosen by a predictor), "further" (to be trained on), "random" or
            "verdict".
        ids: their numbers.
        archs: the rows as strings.
        k: number of the ask.
        seconds: that it took to choose them.
        epochs: how far each is to be trained; None: all the way.
        replicates: which training of its row each is; None: the first.
    """

    kind = "ask"
    phase: str
    ids: tuple[int, ...]
    archs: tuple[str, ...]
    k: int = 0
    seconds: float = 0.0
    epochs: tuple[int, ...] | None = field(default=None, metadata=_OMIT)
    replicates: tuple[int, ...] | None = field(default=None, metadata=_OMIT)


@dataclass(frozen=True)
class Trained(Record):
    """What training gave; of "rung" and "trial" events."""

    id: int
    seed: int
    error: str
    seconds: float
    metrics: Numbers
    curve: dict[str, tuple[float | None, ...]]
    epochs: int = 0
    ended_s: float | None = None  # since the search began
    usage: Usage | None = field(default=None, metadata=_OMIT)

    @property
    def result(self) -> Result:
        """As an evaluator gave it."""
        metrics = {name: _number(value) for name, value in self.metrics.items()}
        curve = {name: [_number(v) for v in values] for name, values in self.curve.items()}
        return Result(metrics, curve, self.seconds, self.seed, self.error, self.epochs, self.usage)


@dataclass(frozen=True)
class Rung(Trained):
    """A network has been trained as far as was asked, and may go on."""

    kind = "rung"
    value: float | None = None


@dataclass(frozen=True)
class Trial(Trained):
    """A network has ended.

    Args:
        phase: see `Ask`.
        arch: the row as a string.
        x: the row.
        status: "ok" or "failed".
        stopped: before its last epoch, by the strategy.
        replicate: which training of its row it is, from 0.
        costs: other costs that matter to the run, by name.
        params: trainable numbers, None where they are not known.
        flops: of one forward pass.
        weights: digest of the file that it left, if it left one.
    """

    kind = "trial"
    phase: str = ""
    arch: str = ""
    x: tuple[int, ...] = ()
    status: str = ""
    stopped: bool = False
    replicate: int = 0
    costs: Numbers = field(default_factory=dict)
    params: int | None = None
    flops: int | None = None
    weights: str | None = field(default=None, metadata=_OMIT)


@dataclass(frozen=True)
class Score:
    """Cross-validated Kendall tau of a predictor: mean and deviation over folds."""

    mean: float | None = None
    std: float | None = None


@dataclass(frozen=True)
class Rank(Record):
    """What a predictor said in one round.

    Args:
        chosen: the predictor, or the one that it chose.
        note: what it says of itself.
        cv: of it and of what it has to beat.
        n_known: results that it was fitted on.
        n_scored: rows that it predicted.
        fit_s: seconds of fitting.
        predict_s: seconds of ranking.
        predictor: what the run asked for.
    """

    kind = "rank"
    chosen: str
    note: str
    cv: dict[str, Score] = field(default_factory=dict)
    n_known: int | None = None
    n_scored: int | None = None
    fit_s: float | None = None
    predict_s: float | None = None
    predictor: str = ""

    @property
    def names(self) -> tuple[str, str]:
        """Under which `cv` may have it; a strategy that brings its own predictor names that one."""
        return self.predictor or self.chosen, self.chosen

    def tau(self, *names: str) -> float:
        """The mean of the first of some names that was cross-validated, or NaN."""
        return next((_number(self.cv[name].mean) for name in names if name in self.cv), math.nan)


@dataclass(frozen=True)
class Rival:
    """The best of `n` networks of random search, and its metrics."""

    id: int = -1
    n: int | None = None
    metrics: Numbers = field(default_factory=dict)


@dataclass(frozen=True)
class HandMade:
    """The hand-made network of the space."""

    name: str = ""
    arch: str = ""


@dataclass(frozen=True)
class Verdict:
    """Numbers of the trainings with other seeds, of the winner and of the hand-made network."""

    replicates: int = 0
    winner: tuple[int, ...] = ()
    baseline: HandMade | None = None
    baseline_trials: tuple[int, ...] = ()


@dataclass(frozen=True)
class Final(Record):
    """The end of the run.

    Args:
        id: of the winner.
        metrics: of the winner, test metrics among them.
        random: the best of random search, where that was trained.
        verdict: where the winner was trained again.
        pareto: numbers of the networks that none beats, where there are costs to minimize.
        searched: networks that the search had trained.
        stopped_by: which budget ended it, in words.
    """

    kind = "final"
    id: int
    metrics: Numbers
    random: Rival | None
    verdict: Verdict | None = None
    pareto: tuple[int, ...] | None = None
    searched: int | None = None
    stopped_by: str | None = None


@dataclass(frozen=True)
class Cost(Record):
    """A cost was measured, with its spread, of some networks."""

    kind = "cost"
    name: str
    archs: tuple[str, ...]
    values: tuple[float | None, ...]
    spreads: tuple[float | None, ...]


@dataclass(frozen=True)
class Stop(Record):
    """A budget is used up."""

    kind = "stop"
    reason: str


@dataclass(frozen=True)
class Session(Record):
    """One call of the command has come to its end; `phases` has the seconds of its parts."""

    kind = "session"
    wall_s: float | None
    phases: dict[str, float]
    started: str = ""
    workers: int = 1


@dataclass(frozen=True)
class Cell(Record):
    """One cell of a study: what was computed, and what came out."""

    kind = "cell"
    error: str
    rest: dict[str, Any] = field(default_factory=dict, metadata=REST)


KINDS: dict[str, type[Record]] = {
    one.kind: one for one in (Ask, Trial, Rank, Final, Rung, Cost, Stop, Session, Cell)
}


def record_of(event: Mapping[str, Any], reader: Reader) -> Record:
    """The record of an event whose kind is known and which has all that it must.

    Raises: RunError of a strict reader where a value is of another type.
    """
    kind = KINDS[event["event"]]
    return reader.record(kind, {k: v for k, v in event.items() if k != "event"})


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
