"""What a strategy is, and what it proposes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from foretell.search.history import History
from foretell.spaces.base import Rows, Space

if TYPE_CHECKING:
    from foretell.search.ranking import Ranking


class Proposal(NamedTuple):
    """What a strategy proposes, and the fitted predictor and ranking behind it, where it has them.

    Shapes: `X` (n, d). `fit_s` and `predict_s` are seconds of wall clock.
    """

    X: Rows
    model: Any = None
    ranking: Ranking | None = None
    fit_s: float = 0.0
    predict_s: float = 0.0


class Strategy(ABC):
    """A function of the past; a frozen dataclass that holds settings and no state."""

    @abstractmethod
    def propose(self, space: Space, history: History, n: int, rng: np.random.Generator) -> Rows:
        """`n` rows to evaluate next, none of them in `history` (by `space.row_key`).

        Fewer than `n` only when the space has no new ones left. Shapes: returns (n, d).
        """

    def explain(self, space: Space, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """What `propose` returns, together with what it was chosen by."""
        return Proposal(self.propose(space, history, n, rng))

    @classmethod
    def scaled(cls, budget: int) -> dict[str, Any]:
        """Settings that suit a search of `budget` networks better than the defaults."""
        return {}

    def round_size(self, done: int) -> int | None:
        """How many rows to ask for before the next tell, after `done` results; None: no matter.

        A driver with parallel workers asks for this many at once, so that what a search does
        depends on its settings and never on the number of workers.
        """
        return None
