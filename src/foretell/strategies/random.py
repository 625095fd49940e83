"""Random search: the baseline that every other strategy has to beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foretell.search.history import History
from foretell.search.strategy import Proposal, Strategy
from foretell.spaces.base import Space
from foretell.strategies.parts.fresh import cost_names, fresh


@dataclass(frozen=True)
class Random(Strategy):
    """Rows drawn by `space.sample`, no function twice.

    Args:
        minimize: names of costs (`space.measure`) that the results are compared by; the rows that
            are drawn do not depend on them.
        repeats: whether a function may come again that is written differently.

    References: Li & Talwalkar, Random search and reproducibility for NAS, UAI 2019.
    """

    minimize: tuple[str, ...] = ()
    repeats: bool = False

    def __post_init__(self) -> None:
        cost_names("random", self.minimize)

    def propose(self, space: Space, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """`n` new random rows."""
        rows = fresh(space, history, n, lambda k: space.sample(k, rng), rng, self.repeats)
        return Proposal(rows)
