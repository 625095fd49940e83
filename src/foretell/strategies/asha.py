"""ASHA: asynchronous successive halving, in which no worker waits."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from foretell.search.history import OK, History
from foretell.search.strategy import Proposal
from foretell.strategies.parts.brackets import Fidelities, best_first, foretold


@dataclass(frozen=True)
class ASHA(Fidelities):
    """Whoever is among the best floor(m / eta) of all m rows that ever reached a rung goes on.

    A free worker gets the best row that may go on from the highest rung where one may; else a new
    row at the first rung. Rungs are at r_k = min_epochs eta^k epochs below those of a whole
    training, and at its end. Who goes on depends on who was quick; the order of the tells in a
    journal repeats a search exactly.

    Args:
        sampler: brings the new rows; one that works in rounds is asked for the next when all of
            the last are told. None: random rows, one whenever a worker is free.
        eta: one in `eta` goes on, 2 or more.
        min_epochs: the first rung, 1 or more.

    References: Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020,
    algorithm 2.

    >>> import foretell as ft
    >>> search = ft.Search(ft.spaces.get("nb201"), ASHA(eta=2), max_epochs=4)
    >>> X = search.ask(2)
    >>> search.tell(X, [0.1, 0.2])
    >>> rest, epochs = search.ask_epochs(1)
    >>> bool((rest == X[1]).all()), epochs.tolist()
    (True, [2])
    """

    asynchronous: ClassVar[bool] = True

    def promotions(self, history: History) -> Proposal | None:
        """Who may go on, from the highest rung down, best first."""
        rungs = self.rungs(history)
        now = history.latest
        ready = now[now.status == OK]  # neither failed nor on the way
        rows, epochs = [history.X[:0]], [np.zeros(0, dtype=np.int64)]
        for rung, above in reversed(list(pairwise(rungs))):
            pool = history[(history.status == OK) & (history.epochs == rung)].latest
            order = best_first(pool.y, pool.ids)[: len(pool) // self.eta]
            here = ready.ids[ready.epochs == rung]
            going = order[np.isin(pool.ids[order], here)]
            rows.append(pool.X[going])
            epochs.append(np.full(len(going), above))
        found = np.concatenate(rows)
        return Proposal(found, np.concatenate(epochs)) if len(found) else None

    def open(self, history: History) -> bool:
        """Always; with a sampler that works in rounds, when nothing is out."""
        return self.sampler is None or not len(history.pending)

    def round_size(self, history: History) -> int | None:
        """One row at a time; a round of the sampler, none while one is out."""
        inner = self.inner
        if inner is None:
            return 1
        return inner.round_size(foretold(history)) if self.open(history) else 0
