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
    """Rows drawn by `space.sample`, without replacement.

    Args:
        minimize: names of costs (`space.measure`) that the results are compared by; the rows that
            are drawn do not depend on them.

    References: Li & Talwalkar, Random search and reproducibility for NAS, UAI 2019.
    """

    minimize: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        cost_names("random", self.minimize)

    def propose(self, space: Space, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """`n` new random rows."""
        return Proposal(fresh(space, history, n, lambda k: space.sample(k, rng), rng))
