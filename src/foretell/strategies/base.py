"""What a strategy is, and the one way to draw rows that are new."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foretell.errors import SettingError
from foretell.history import History
from foretell.spaces.base import Rows, Space

if TYPE_CHECKING:
    from foretell.ranking import Ranking


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


def cost_names(strategy: str, minimize: Any) -> None:
    """Raises: SettingError unless `minimize` is several different names."""
    good = isinstance(minimize, (tuple, list)) and all(isinstance(name, str) for name in minimize)
    if not good or len(set(minimize)) < len(minimize):
        raise SettingError(
            f"{strategy}, minimize",
            expected="different names of costs, like ('params',)",
            got=repr(minimize),
        )


def fresh(
    space: Space,
    history: History,
    n: int,
    draw: Callable[[int], Rows],
    rng: np.random.Generator,
) -> Rows:
    """`n` rows from `draw(k)`, different from each other and from all of `history`.

    Draws again and again; when that no longer finds new rows it takes random ones, and at last
    (small or nearly finished spaces) whatever the enumeration still has.

    Shapes: returns (n, d), shorter only when the space is used up.
    """
    found = np.zeros((0, space.d), dtype=history.X.dtype)
    known = space.row_key(history.X)
    for source in (draw, lambda k: space.sample(k, rng)):
        for _ in range(20):
            if len(found) >= n:
                return found[:n]
            found, known = _add_new(space, found, known, source(2 * (n - len(found)) + 8))
    for rows in space.enumerate():
        if len(found) >= n:
            break
        found, known = _add_new(space, found, known, rows)
    return found[:n]


def _add_new(
    space: Space, found: Rows, known: NDArray[np.uint64], rows: Rows
) -> tuple[Rows, NDArray[np.uint64]]:
    keys = space.row_key(rows)
    _, first = np.unique(keys, return_index=True)
    new = np.zeros(len(rows), dtype=bool)
    new[first] = True
    new &= ~np.isin(keys, known)
    return np.concatenate([found, rows[new]]), np.concatenate([known, keys[new]])
