"""Ask and tell: a strategy, the history it sees, and the seed that makes it repeatable."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foretell import _catalog
from foretell._rng import stream
from foretell.errors import DataError, SettingError
from foretell.search.history import History
from foretell.search.strategy import Proposal, Strategy
from foretell.spaces.base import Rows, Space


class Search:
    """A search over `space`: `ask` for architectures, `tell` how good they are, repeat.

    The k-th `ask` draws from a generator derived from (seed, k), and the strategy keeps no state,
    so replaying the same asks and tells resumes any search exactly.

    Args:
        space: where to search.
        strategy: a catalog name, or a `Strategy`.
        seed: of the whole search.
        direction: "max" if larger values are better, "min" if smaller ones are (a loss).

    >>> import foretell as ft
    >>> search = Search(ft.spaces.get("nb201"), "random", seed=0)
    >>> X = search.ask(3)
    >>> search.tell(X, [0.1, 0.7, 0.3])
    >>> search.best_value
    0.7
    """

    def __init__(
        self,
        space: Space,
        strategy: str | Strategy = "random",
        seed: int = 0,
        direction: Literal["max", "min"] = "max",
    ) -> None:
        if direction not in ("max", "min"):
            raise SettingError("direction", expected="'max' or 'min'", got=repr(direction))
        self.space = space
        self.strategy = (
            _catalog.get("strategy", strategy) if isinstance(strategy, str) else strategy
        )
        self.seed = seed
        self.direction = direction
        self._sign = 1.0 if direction == "max" else -1.0
        self._told = History.empty(space)
        self._pending = np.zeros((0, space.d), dtype=space._dtype)
        self._asks = 0
        self.proposal: Proposal | None = None  # of the last `ask`, and what led to it

    @property
    def history(self) -> History:
        """What is known, higher is better, with the rows still out at the end as pending."""
        return self._told.with_pending(self._pending)

    def ask(self, n: int = 1) -> Rows:
        """`n` architectures to evaluate next; fewer, or none, when the space has no new ones left.

        Shapes: returns (n, d).
        """
        if n < 1:
            raise SettingError("ask(n)", expected="n of at least 1", got=n)
        rng = stream(self.seed, "ask", self._asks)
        self.proposal = self.strategy.explain(self.space, self.history, n, rng)
        self._asks += 1
        self._pending = np.concatenate([self._pending, self.proposal.X])
        return self.proposal.X

    def replay(self, X: ArrayLike) -> None:
        """Take `X` for what this `ask` returned, without computing it again.

        With the `tell`s in between, the journal of an interrupted search so brings a new one to
        the same point: the next `ask` gives what it would have given.

        >>> import foretell as ft
        >>> first, second = (Search(ft.spaces.get("nb201"), seed=3) for _ in range(2))
        >>> second.replay(first.ask(2))
        >>> bool((first.ask(2) == second.ask(2)).all())
        True
        """
        self._pending = np.concatenate([self._pending, self.space.check(X)])
        self._asks += 1

    def tell(self, X: ArrayLike, values: ArrayLike, seconds: ArrayLike = 0.0) -> None:
        """Report the values of some rows (asked for or not); NaN for one that failed."""
        rows = self.space.check(X)
        y = self._sign * np.asarray(values, dtype=np.float64)
        if y.shape != (len(rows),):
            raise DataError(
                "tell(X, values)", expected=f"{len(rows)} values", got=f"shape {y.shape}"
            )
        self._told = self._told.append(rows, y, seconds)
        pending = list(self.space.row_key(self._pending))
        for key in self.space.row_key(rows):
            if key in pending:
                at = pending.index(key)
                pending.pop(at)
                self._pending = np.delete(self._pending, at, axis=0)

    @property
    def round_size(self) -> int | None:
        """How many the strategy wants asked before the next tell; None: as many as you like."""
        return self.strategy.round_size(len(self.history.told))

    @property
    def best(self) -> Rows:
        """The best row told so far, shape (d,)."""
        x: Rows = self._told.X[self._told.best()]
        return x

    @property
    def best_value(self) -> float:
        """Its value, in the direction in which it was told."""
        return float(self._sign * self._told.y[self._told.best()])

    @property
    def values(self) -> NDArray[np.float64]:
        """All values told, in their own direction, oldest first; NaN where a trial failed."""
        return self._sign * self._told.y
