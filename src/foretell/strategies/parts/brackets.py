"""What strategies with several fidelities share: rungs, where new rows come from, who is where."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from foretell import _catalog
from foretell.errors import SettingError
from foretell.search.history import OK, Floats, History, Integers
from foretell.search.strategy import Proposal, Strategy
from foretell.spaces.base import Space
from foretell.strategies.parts.fresh import fresh


def rungs(min_epochs: int, eta: int, max_epochs: int) -> tuple[int, ...]:
    """Epochs after which rows are compared: min_epochs eta^k below `max_epochs`, and that itself.

    >>> rungs(1, 3, 20), rungs(30, 3, 20)
    ((1, 3, 9, 20), (20,))
    """
    found, at = [], min_epochs
    while at < max_epochs:
        found.append(at)
        at *= eta
    return (*found, max_epochs)


def bracket_sizes(rungs: int, eta: int) -> tuple[int, ...]:
    """Rows of the brackets of Hyperband, that with most first: ceil((S + 1) / (s + 1) eta^s).

    s = S, ..., 0 are the rungs that a bracket begins below the end, S + 1 = `rungs`.

    >>> bracket_sizes(5, 3), bracket_sizes(1, 3)
    ((81, 34, 15, 8, 5), (1,))
    """
    return tuple(-(-rungs * eta**s // (s + 1)) for s in range(rungs - 1, -1, -1))


def next_due(rows: History, rungs: Sequence[int], share: Fraction, least: int) -> Proposal | None:
    """Who goes on so that of those who ever reached a rung a share reaches the next.

    The lowest rung where somebody is missing comes first. Floor(share m) of m go on, `least` at
    least; those that are there, best first, older ones first on ties.

    Args:
        rows: one record a row, its last, none pending and none failed.
        rungs: epochs, of those that are compared.
        share: of a rung that goes on.
        least: fewest that do, while there are any.

    >>> import foretell as ft
    >>> X = ft.spaces.get("nb201").sample(5, rng=0)
    >>> rows = History.of(ft.spaces.get("nb201"), X, [3, 1, 5, 2, 4], epochs=1, max_epochs=4)
    >>> due = next_due(rows, (1, 2, 4), Fraction(1, 2), 0)
    >>> bool((due.X == X[[2, 4]]).all()), due.epochs.tolist()
    (True, [2, 2])
    """
    for here, above in pairwise(rungs):
        reached = int((rows.epochs >= here).sum())
        missing = max(math.floor(share * reached), least) - int((rows.epochs >= above).sum())
        there = rows[rows.epochs == here]
        if missing > 0 and len(there):
            first = best_first(there.y, there.ids)[:missing]
            return Proposal(there.X[first], np.full(len(first), above))
    return None


def foretold(history: History) -> History:
    """One record a row, values as they might be at the end, for whoever compares all of them.

    A row that was trained for e < max_epochs epochs gets its value plus the median of what the
    rows that went all the way have gained from there on; its value while none has.
    """
    out, gains = history.latest, _gains(history)
    early = (out.status == OK) & (out.epochs < out.max_epochs)
    y = out.y.copy()
    for e in np.unique(out.epochs[early]):
        there = early & (out.epochs == e)
        y[there] += gains.get(int(e), 0.0)
    return replace(out, y=y)


def _gains(history: History) -> dict[int, float]:
    """Epochs of a rung -> median gain from there to the end, of rows with both records."""
    full = history.full
    end = dict(zip(full.ids.tolist(), full.y.tolist(), strict=True))
    part = history[(history.status == OK) & np.isin(history.ids, full.ids)]
    part = part[part.epochs < history.max_epochs]
    gain = np.array([end[i] for i in part.ids.tolist()]) - part.y
    return {int(e): float(np.median(gain[part.epochs == e])) for e in np.unique(part.epochs)}


def best_first(y: Floats, ids: Integers) -> NDArray[np.intp]:
    """Order of rows by value, older ones first on ties."""
    return np.lexsort((ids, -y))


@dataclass(frozen=True)
class Fidelities(Strategy):
    """Base of strategies that train many rows a little, and few to the end.

    New rows begin at the first rung; who goes on is `promotions`, which a subclass implements.

    Args:
        sampler: brings the new rows: a strategy or its catalog name; it sees one record a row,
            with the value that it might have at the end, unless it reads `all_epochs`. None:
            random rows.
        eta: of the rows at a rung one in `eta` goes on, 2 or more.
        min_epochs: the first rung, 1 or more.
        repeats: whether rows that are random, or of a sampler given by name, may compute a known
            function that is written differently.
    """

    sampler: Strategy | str | None = None
    eta: int = 3
    min_epochs: int = 1
    repeats: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        for name, low in (("eta", 2), ("min_epochs", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low:
                raise SettingError(
                    f"halving, {name}", expected=f"a whole number from {low}", got=repr(value)
                )
        if isinstance(self.sampler, Fidelities):
            raise SettingError(
                "sampler", expected="a strategy that trains every row to the end", got=self.sampler
            )

    @abstractmethod
    def promotions(self, history: History) -> Proposal | None:
        """Rows that go on from the rung where they are."""

    @property
    def inner(self) -> Strategy | None:
        """The sampler as a strategy."""
        if isinstance(self.sampler, str):
            more = {"repeats": True} if self.repeats else {}
            found: Strategy = _catalog.get("strategy", self.sampler, **more)
            return found
        return self.sampler

    def rungs(self, history: History) -> tuple[int, ...]:
        """Epochs of the rungs, the last being a whole training.

        Raises: SettingError where nothing says what a whole training is.
        """
        if history.max_epochs < 1:
            raise SettingError(
                "a search that stops trainings early needs to know how long a whole one is",
                expected="max_epochs of at least 1",
                got=history.max_epochs,
                hint='pass it, as in ft.Search(space, "asha", max_epochs=81)',
            )
        return rungs(self.min_epochs, self.eta, history.max_epochs)

    def propose(self, space: Space, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """Who is due to go on; then new rows, where it is time for some."""
        due = self.promotions(history)
        if due is not None and len(due.X):
            assert due.epochs is not None  # a promotion says how far
            X, epochs = due.X[:n], due.epochs[:n]
            if len(X) == n or not self.open(history):
                return Proposal(X, epochs)
        else:
            X, epochs = history.X[:0], np.zeros(0, dtype=np.int64)
            if not self.open(history):
                return Proposal(X, epochs)
        new = self.newcomers(space, history, n - len(X), rng)
        return new._replace(
            X=np.concatenate([X, new.X]),
            epochs=np.concatenate([epochs, self.first(history, len(new.X))]),
        )

    def first(self, history: History, n: int) -> Integers:
        """The epochs that the next `n` new rows begin with, (n,)."""
        return np.full(n, self.rungs(history)[0])

    def newcomers(
        self, space: Space, history: History, n: int, rng: np.random.Generator
    ) -> Proposal:
        """At most `n` new rows: those of the sampler, or random ones."""
        inner, known = self.inner, foretold(history)
        if inner is not None:
            return inner.propose(space, history if inner.all_epochs else known, n, rng)
        return Proposal(fresh(space, known, n, partial(space.sample, rng=rng), rng, self.repeats))

    @abstractmethod
    def open(self, history: History) -> bool:
        """Whether it is time for new rows."""
