"""Successive halving: rounds of rows, of which the best go on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from foretell.errors import SettingError
from foretell.search.history import OK, History
from foretell.search.strategy import Proposal
from foretell.strategies.parts.brackets import Fidelities, best_first, foretold


@dataclass(frozen=True)
class SuccessiveHalving(Fidelities):
    """A bracket of rows is trained to the first rung; of m rows at a rung ceil(m / eta) go on.

    Rungs are at r_k = min_epochs eta^k epochs below those of a whole training, and at its end. A
    rung is cut when all rows of the bracket that are due there have an answer, so the result does
    not depend on the number of workers. The next bracket begins when a row of this one has gone
    all the way, or all have failed. Ties go to the older row.

    Args:
        sampler: brings the new rows, in rounds of its own size; None: random rows.
        eta: one in `eta` goes on, 2 or more.
        min_epochs: the first rung, 1 or more.
        bracket: rows of a bracket where the sampler leaves it open; None: eta^(rungs - 1), so
            that one goes all the way.

    References: Jamieson & Talwalkar, AISTATS 2016, algorithm 1. Differs: rounds up, so that
    somebody always goes on, and comes back to the next best where all that went on have failed.

    >>> import foretell as ft
    >>> search = ft.Search(ft.spaces.get("nb201"), SuccessiveHalving(bracket=4), max_epochs=9)
    >>> X, epochs = search.ask_epochs(4)
    >>> search.tell(X, [0.4, 0.1, 0.3, 0.2])
    >>> rest, epochs = search.ask_epochs(4)
    >>> (rest == X[[0, 2]]).all(), epochs.tolist()
    (np.True_, [3, 3])
    """

    bracket: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bracket is not None and self.bracket < 1:
            raise SettingError("halving, bracket", expected="at least 1", got=self.bracket)

    def _standing(self, history: History) -> History:
        """Rows of the newest bracket that have not failed, as far as they have come."""
        newest = history.asks.max(initial=-1)
        rows = history[(history.asks == newest) & (history.asks >= 0)].latest
        return rows[rows.status == OK]

    def promotions(self, history: History) -> Proposal | None:
        """The best of those who have come furthest, unless somebody is still on the way."""
        rungs = self.rungs(history)
        rows = self._standing(history)
        if len(history.pending) or not len(rows):
            return None
        there = rows[rows.epochs == rows.epochs.max()]
        above = [rung for rung in rungs if rung > there.epochs[0]]
        if not above:
            return None
        first = best_first(there.y, there.ids)[: math.ceil(len(there) / self.eta)]
        return Proposal(there.X[first], np.full(len(first), above[0]))

    def open(self, history: History) -> bool:
        """When nothing of the newest bracket is out, or due."""
        return not len(history.pending) and self.promotions(history) is None

    def round_size(self, history: History) -> int | None:
        """Who goes on; else a new bracket, as large as the sampler wants."""
        due = self.promotions(history)
        if due is not None:
            return len(due.X)
        inner = self.inner
        size = None if inner is None else inner.round_size(foretold(history))
        if inner is not None:
            return size if size is not None else self.bracket
        return self.bracket or self.eta ** (len(self.rungs(history)) - 1)
