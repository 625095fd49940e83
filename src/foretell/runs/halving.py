"""Successive halving: networks that start badly are not trained to the end."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

import numpy as np

from foretell.errors import SettingError
from foretell.runs.trial import Trial

Kind = Literal["sync", "asha"]


@dataclass(frozen=True)
class Halving:
    """Of the networks that reach a rung of epochs, one in `eta` goes on to the next.

    Rungs are at r = min_epochs * eta^k epochs below the recipe's, and at its end. With "sync" a
    round of networks is cut when all of them are at the rung, so the result does not depend on
    the number of workers. With "asha" a network goes on as soon as it is in the best 1/eta of
    all that have ever reached the rung, so no worker waits; then who goes on may depend on who
    was quick.

    Args:
        eta: one in `eta` goes on, 2 or more.
        min_epochs: the first rung, 1 or more.
        kind: "sync" or "asha".

    References: Jamieson & Talwalkar, AISTATS 2016; Li et al., A System for Massively Parallel
    Hyperparameter Tuning, MLSys 2020, algorithm 2. Differs: networks come in the strategy's
    rounds, and one that has not been promoted when its round ends is not promoted later.

    >>> Halving(eta=3).rungs(20)
    (1, 3, 9, 20)
    """

    eta: int = 3
    min_epochs: int = 1
    kind: Kind = "sync"

    def __post_init__(self) -> None:
        for name, low in (("eta", 2), ("min_epochs", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise SettingError(
                    f"halving, {name}", expected=f"a whole number from {low}", got=repr(value)
                )
        if self.kind not in get_args(Kind):
            raise SettingError("halving", expected="sync or asha", got=repr(self.kind))

    @classmethod
    def of(cls, setting: Self | str | Mapping[str, Any] | None) -> Self | None:
        """From what a user says: "sync", "asha", settings by name, or None."""
        if setting is None or isinstance(setting, cls):
            return setting
        if isinstance(setting, str):
            return cls(kind=setting)  # type: ignore[arg-type]  # checked when made
        try:
            return cls(**setting)  # type: ignore[arg-type]  # as above
        except TypeError:
            raise SettingError(
                "halving", expected="'sync', 'asha', or eta, min_epochs and kind", got=setting
            ) from None

    def rungs(self, epochs: int) -> tuple[int, ...]:
        """Epochs after which networks are compared, the last being `epochs` itself."""
        rungs = []
        at = self.min_epochs
        while at < epochs:
            rungs.append(at)
            at *= self.eta
        return (*rungs, epochs)


@dataclass
class Bracket:
    """One round of networks on its way up the rungs.

    Args:
        halving: the rule.
        rungs: epochs of each rung, ascending.
        ids: the networks.
        earlier: for "asha", values of earlier rounds at each rung.
    """

    halving: Halving
    rungs: Sequence[int]
    ids: Sequence[int]
    earlier: Mapping[int, Sequence[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.values: list[dict[int, float]] = [{} for _ in self.rungs]
        self._gone: set[int] = set()  # failed, or ended by itself before a rung
        self._out: dict[int, int] = {}  # in work, and the rung it goes to

    def next(self) -> tuple[int, int] | None:
        """A network and the epochs to train it to; None while all that may go on are in work."""
        for k, waiting in reversed(list(enumerate(self._waiting()))):
            for one in waiting:
                if one not in self._out:
                    self._out[one] = k
                    return one, self.rungs[k]
        return None

    def reached(self, one: int, epochs: int, value: float) -> None:
        """A network has been trained to a rung."""
        self._out.pop(one, None)
        self.values[list(self.rungs).index(epochs)][one] = value

    def left(self, one: int) -> None:
        """A network has failed, or ended by itself."""
        self._out.pop(one, None)
        self._gone.add(one)

    def ended(self, trial: Trial) -> None:
        """A network has a result."""
        if trial.failed or trial.epochs < self.rungs[-1]:
            self.left(trial.id)
        else:
            self.reached(trial.id, self.rungs[-1], trial.value)

    @property
    def done(self) -> bool:
        """Whether nobody is in work and nobody may go on."""
        return not any(self._waiting())

    @property
    def stopped(self) -> dict[int, int]:
        """Networks that did not reach the end, and the epochs that they have."""
        last = {i: self.rungs[k] for k, values in enumerate(self.values) for i in values}
        return {i: n for i, n in last.items() if n < self.rungs[-1] and i not in self._gone}

    def _waiting(self) -> list[list[int]]:
        """For each rung, who is due there and has not reached it, in work or not."""
        due: Iterable[int] = self.ids
        waiting, complete = [], True
        for k, values in enumerate(self.values):
            late = [i for i in due if i not in values and i not in self._gone]
            late += [i for i, to in self._out.items() if to == k and i not in late]
            complete = complete and not late
            waiting.append(late)
            due = self._promoted(k, complete)
        return waiting

    def _promoted(self, k: int, complete: bool) -> list[int]:
        """Who goes on from rung k, best first; older ones on ties."""
        own = sorted(((-v if math.isfinite(v) else math.inf, i) for i, v in self.values[k].items()))
        if self.halving.kind == "sync":
            n = math.ceil(len(own) / self.halving.eta) if complete else 0
            return [i for _, i in own[:n]]
        before = [-value for value in self.earlier.get(self.rungs[k], ()) if math.isfinite(value)]
        pool = sorted([value for value, _ in own] + before)
        n = len(pool) // self.halving.eta
        chosen = [i for value, i in own if n and value <= pool[n - 1]][:n]
        if complete and own and not chosen and not before:
            return [own[0][1]]  # too few for one in eta: the best all the same
        return chosen


def estimate(value: float, epochs: int, finished: Iterable[Sequence[float]]) -> float:
    """The value at the end of a network that was stopped after `epochs`.

    Its value plus the median of what the finished ones gained from there on, so that a strategy
    may compare it with them; just its value while nothing has finished.

    Args:
        value: after `epochs`.
        epochs: when it was stopped.
        finished: curves of the objective of networks trained to the end.

    >>> estimate(0.5, 1, [[0.6, 0.8], [0.5, 0.9]])
    0.8
    """
    gains = [curve[-1] - curve[epochs - 1] for curve in finished if len(curve) > epochs]
    return value + float(np.median(gains)) if gains else value
