"""Hyperband: brackets of halving, from many rows that are cut early to few that never are."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from foretell.search.history import OK, History, Integers
from foretell.search.strategy import Proposal
from foretell.strategies.parts.brackets import Fidelities, bracket_sizes, next_due


@dataclass(frozen=True)
class Hyperband(Fidelities):
    """Brackets s = S, S - 1, ..., 0 of successive halving, and again from S.

    Of S + 1 rungs, bracket s has ceil((S + 1) / (s + 1) eta^s) rows, which begin s rungs below the
    end; floor(m / eta) of m that reach a rung go on, one at least. So all brackets cost about the
    same. A row's bracket follows from its number: the first n_S rows are the first one, the next
    n_(S-1) the second. A rung is cut when all rows that are due there have an answer.

    Args:
        sampler: brings the new rows; None: random rows.
        eta: one in `eta` goes on, 2 or more.
        min_epochs: the first rung of bracket S, 1 or more.
        repeats: whether random rows may compute a known function that is written differently.

    References: Li et al., Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization,
    JMLR 2018, algorithm 1. Differs: rungs are counted from `min_epochs` up, as in
    `successive-halving`; they are the paper's where max_epochs is min_epochs eta^S. Where those
    that went on have failed, the next best do.

    >>> import foretell as ft
    >>> search = ft.Search(ft.spaces.get("nb201"), Hyperband(), max_epochs=9)
    >>> search.round_size
    9
    >>> X, epochs = search.ask_epochs(9)
    >>> search.tell(X, range(9))
    >>> rest, epochs = search.ask_epochs(search.due)
    >>> epochs.tolist(), bool((rest == X[[8, 7, 6]]).all())
    ([3, 3, 3], True)
    """

    def promotions(self, history: History) -> Proposal | None:
        """The best of the newest bracket, when nothing is out."""
        latest = history.latest
        if len(history.pending) or not len(latest):
            return None
        rungs = self.rungs(history)
        which = self._brackets(history, np.arange(len(latest)))
        mine = latest[(which == which[-1]) & (latest.status == OK)]
        return next_due(mine, rungs[which[-1] % len(rungs) :], Fraction(1, self.eta), 1)

    def _brackets(self, history: History, rows: Integers) -> NDArray[np.int64]:
        """Number of the bracket of the i-th rows that came, (n,)."""
        sizes = bracket_sizes(len(self.rungs(history)), self.eta)
        turn, at = np.divmod(rows, sum(sizes))
        return np.asarray(turn * len(sizes) + np.searchsorted(np.cumsum(sizes), at, side="right"))

    def open(self, history: History) -> bool:
        """When nothing is out, and nobody of the newest bracket is due."""
        return not len(history.pending) and self.promotions(history) is None

    def first(self, history: History, n: int) -> Integers:
        """The rungs where the brackets of the next `n` rows begin, (n,)."""
        rungs = np.array(self.rungs(history))
        which = self._brackets(history, len(history.latest) + np.arange(n))
        return np.asarray(rungs[which % len(rungs)])

    def round_size(self, history: History) -> int:
        """Who goes on; else what is left of a bracket."""
        due = self.promotions(history)
        if due is not None:
            return len(due.X)
        ends = np.cumsum(bracket_sizes(len(self.rungs(history)), self.eta))
        at = len(history.latest) % int(ends[-1])
        return int(ends[np.searchsorted(ends, at, side="right")] - at)
