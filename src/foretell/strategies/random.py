"""Random search: the baseline that every other strategy has to beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foretell.history import History
from foretell.spaces.base import Rows, Space
from foretell.strategies.base import Strategy, fresh


@dataclass(frozen=True)
class Random(Strategy):
    """Rows drawn by `space.sample`, without replacement.

    References: Li & Talwalkar, Random search and reproducibility for NAS, UAI 2019.
    """

    def propose(self, space: Space, history: History, n: int, rng: np.random.Generator) -> Rows:
        """`n` new random rows."""
        return fresh(space, history, n, lambda k: space.sample(k, rng), rng)
