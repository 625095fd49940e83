"""Ask and tell: a strategy, the history it sees, and the seed that makes it repeatable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foretell import _catalog
from foretell._given import check_settings, reals
from foretell._rng import stream
from foretell._threads import one_thread
from foretell.encodings.base import a_space
from foretell.errors import DataError, SettingError
from foretell.search.history import Curves, History, Integers
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
        max_epochs: of a whole training, for strategies that stop some before; 0 where there is
            nothing to train.

    Attributes:
        proposal: of the last `ask`: the rows, and the predictor that chose them.

    >>> import foretell as ft
    >>> search = Search(ft.spaces.get("nb201"), "random", seed=0)
    >>> X = search.ask(3)
    >>> search.tell(X, [0.1, 0.7, 0.3])
    >>> search.best_value
    0.7

    Strategies with several fidelities say how far a row is to be trained, and come back to it:

    >>> search = Search(ft.spaces.get("nb201"), "asha", seed=0, max_epochs=9)
    >>> X, epochs = search.ask_epochs(3)
    >>> epochs.tolist()
    [1, 1, 1]
    >>> search.tell(X, [0.1, 0.7, 0.3], epochs=epochs)
    >>> again, epochs = search.ask_epochs(1)
    >>> bool((again == X[1]).all()), epochs.tolist()
    (True, [3])
    """

    def __init__(
        self,
        space: Space,
        strategy: str | Strategy = "random",
        seed: int = 0,
        direction: Literal["max", "min"] = "max",
        max_epochs: int = 0,
    ) -> None:
        if direction not in ("max", "min"):
            raise SettingError("direction", expected="'max' or 'min'", got=repr(direction))
        check_settings("search", {"max_epochs": max_epochs}, Search)
        if max_epochs < 0:
            raise SettingError("max_epochs", expected="a whole number from 0", got=max_epochs)
        self.space = a_space(self, space)
        self.strategy: Strategy = (
            _catalog.get("strategy", strategy) if isinstance(strategy, str) else strategy
        )
        if not isinstance(self.strategy, Strategy):
            raise SettingError(
                "strategy", expected="a catalog name, or a Strategy", got=repr(strategy)
            )
        self.strategy.check(type(self.strategy).__name__)
        self.seed = seed
        self.direction = direction
        self.max_epochs = int(max_epochs)
        self.proposal: Proposal | None = None
        self._sign = 1.0 if direction == "max" else -1.0
        self._told = self._out = History.empty(space, self.max_epochs)
        self._history: History | None = None  # both, once somebody has asked
        self._ids: dict[int, int] = {}  # key of each row -> its id
        self._brought: dict[int, int] = {}  # id of each row -> number of the ask that brought it
        self._ended: set[int] = set()  # ids of rows with a result
        self._asks = 0

    @property
    def history(self) -> History:
        """What is known, higher is better, with the rows still out at the end as pending."""
        if self._history is None:
            self._history = self._told.then(self._out)
        return self._history

    def ask(self, n: int = 1) -> Rows:
        """`n` architectures to evaluate next; fewer, or none, when the space has no new ones left.

        Shapes: returns (n, d).
        """
        return self.ask_epochs(n)[0]

    def ask_epochs(self, n: int = 1) -> tuple[Rows, Integers]:
        """At most `n` architectures to evaluate next, and for how many epochs each.

        None where the strategy waits for what is out, or has nothing left to do.

        Shapes: returns (n, d) and (n,); epochs are 0 where there is nothing to train.
        """
        check_settings("ask", {"n": n}, Search.ask)
        if n < 1:
            raise SettingError("ask(n)", expected="n of at least 1", got=n)
        rng = stream(self.seed, "ask", self._asks)
        with one_thread():
            proposal: Any = self.strategy.propose(self.space, self.history, n, rng)
        if not isinstance(proposal, Proposal):  # of an own strategy: rows are enough
            proposal = Proposal(np.asarray(proposal))
        _, first = np.unique(self.space.row_key(proposal.X), return_index=True)
        if len(first) < len(proposal.X):  # of an own strategy that repeats itself
            first.sort()
            epochs = None if proposal.epochs is None else proposal.epochs[first]
            proposal = proposal._replace(X=proposal.X[first], epochs=epochs)
        self.proposal = proposal
        return proposal.X, self._enter(proposal.X, proposal.epochs)

    def replay(self, X: ArrayLike, epochs: ArrayLike | None = None) -> None:
        """Take `X` for what this `ask` returned, without computing it again.

        With the `tell`s in between, the journal of an interrupted search so brings a new one to
        the same point: the next `ask` gives what it would have given.

        >>> import foretell as ft
        >>> first, second = (Search(ft.spaces.get("nb201"), seed=3) for _ in range(2))
        >>> second.replay(first.ask(2))
        >>> bool((first.ask(2) == second.ask(2)).all())
        True
        """
        self._enter(self.space.check(X), epochs)

    def _enter(self, X: Rows, epochs: ArrayLike | None) -> Integers:
        """Rows are out from now on; an ask that brings none does not count."""
        if not len(X):
            return np.zeros(0, dtype=np.int64)
        ids = self._numbers(X, self._asks)
        asks = [self._brought[i] for i in ids]
        self._out, self._history = self._out.with_pending(X, epochs, ids, asks), None
        self._asks += 1
        return self._out.epochs[-len(X) :]

    def _numbers(self, X: Rows, ask: int) -> list[int]:
        """The ids of rows; new ones for rows that were not seen before."""
        keys = self.space.row_key(X).tolist()
        ids = [self._ids.setdefault(key, len(self._ids)) for key in keys]
        for one in ids:
            self._brought.setdefault(one, ask)
        return ids

    def is_told(self, id: int) -> bool:
        """Whether the row of an id in `history` has a result."""
        return id in self._ended

    def ids(self, keys: NDArray[np.uint64]) -> list[int]:
        """The ids in `history` of rows that were asked or told, by their `space.row_key`, (n,)."""
        return [self._ids[key] for key in keys.tolist()]

    def tell(
        self,
        X: ArrayLike,
        values: ArrayLike,
        seconds: ArrayLike = 0.0,
        *,
        epochs: ArrayLike | None = None,
        curves: Curves | None = None,
        ended_s: ArrayLike = np.nan,
    ) -> None:
        """Report the values of some rows (asked for or not); NaN for one that failed.

        Args:
            X: rows, (n, d).
            values: (n,), in the direction of the search.
            seconds: what each has cost, from its first epoch on.
            epochs: how far each was trained; None: as far as was asked, or all the way.
            curves: name of a metric -> values an epoch, (n, e), in their own direction.
            ended_s: when each ended, in seconds since the search began.
        """
        rows = self.space.check(X)
        y = self._sign * reals(values, "values that are told")
        if y.shape != (len(rows),):
            raise DataError(
                "tell(X, values)", expected=f"{len(rows)} values", got=f"shape {y.shape}"
            )
        ids = self._numbers(rows, -1)
        asked, stay = self._answered(ids)
        reached = asked if epochs is None else np.broadcast_to(np.asarray(epochs), (len(rows),))
        self._told = self._told.append(
            rows,
            y,
            seconds,
            epochs=reached,
            ended_s=ended_s,
            ids=ids,
            asks=[self._brought[i] for i in ids],
            curves=curves,
        )
        self._out, self._history = self._out[stay], None
        self._ended.update(ids)

    def _answered(self, ids: Sequence[int]) -> tuple[Integers, NDArray[np.bool_]]:
        """The epochs that were asked of rows, and which of those that are out stay out."""
        stay = np.ones(len(self._out), dtype=bool)
        asked = np.full(len(ids), self.max_epochs)
        places: dict[int, list[int]] = {}  # of each id in `_out`, the oldest last
        for at in range(len(stay) - 1, -1, -1):
            places.setdefault(int(self._out.ids[at]), []).append(at)
        for i, one in enumerate(ids):
            if found := places.get(one):
                at = found.pop()
                asked[i], stay[at] = self._out.epochs[at], False
        return asked, stay

    @property
    def round_size(self) -> int | None:
        """How many the strategy wants asked before the next tell; None: as many as you like."""
        return self.strategy.round_size(self.history)

    @property
    def due(self) -> int:
        """How many known rows the strategy wants trained on now."""
        if type(self.strategy).promotions is Strategy.promotions:
            return 0  # without looking at the history
        promotions = self.strategy.promotions(self.history)
        return 0 if promotions is None else len(promotions.X)

    @property
    def n_rows(self) -> int:
        """How many different rows were asked or told so far."""
        return len(self._ids)

    @property
    def best(self) -> Rows:
        """The best row told so far, of those with most epochs, shape (d,)."""
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
