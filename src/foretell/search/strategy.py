"""What a strategy is, and what it proposes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foretell._given import check_settings
from foretell.search.history import History
from foretell.spaces.base import Rows, Space

if TYPE_CHECKING:
    from foretell.search.ranking import Ranking


class Proposal(NamedTuple):
    """What a strategy proposes, and the fitted predictor and ranking behind it, where it has them.

    Shapes: `X` (n, d); `epochs` (n,), how far each row shall be trained, None for all the way.
    `fit_s` and `predict_s` are seconds of wall clock.
    """

    X: Rows
    epochs: NDArray[np.int64] | None = None
    model: Any = None
    ranking: Ranking | None = None
    fit_s: float = 0.0
    predict_s: float = 0.0


class Strategy(ABC):
    """A function of the past; a frozen dataclass that holds settings and no state.

    One that is synchronous is asked for `round_size` rows when all that it had asked for is
    told, so what a search does depends on its settings and never on the number of workers. One
    that is `asynchronous` is asked whenever a worker is free.
    """

    asynchronous: ClassVar[bool] = False
    all_epochs: ClassVar[bool] = False  # whether, bringing rows for another, it sees all records

    def check(self, name: str) -> None:
        """Raises: SettingError for a setting that is not of the kind that its field says."""
        settings = getattr(self, "__dataclass_fields__", ())
        check_settings(name, {one: getattr(self, one) for one in settings}, type(self))

    @abstractmethod
    def propose(self, space: Space, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """At most `n` rows to evaluate next, and how far.

        A row that `history` does not have (by `space.row_key`) is new; one that it has is to be
        trained on, to more epochs than it has. Fewer rows than `n` mean: wait for what is out, or,
        when nothing is out, that there is nothing left to do.

        Shapes: `X` at most (n, d).
        """

    def promotions(self, history: History) -> Proposal | None:
        """Known rows that are due to be trained on, best first; `propose` begins with them.

        They are all that a search still does when its budget of networks is used up.
        """
        return None

    @classmethod
    def scaled(cls, budget: int) -> dict[str, Any]:
        """Settings that suit a search of `budget` networks better than the defaults."""
        return {}

    def round_size(self, history: History) -> int | None:
        """How many new rows to ask for before the next tell; None: as many as the budget has.

        0: none now, ask again when something is told.
        """
        return None
