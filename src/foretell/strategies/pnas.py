"""PNAS: from a plain network outwards, each step to those that a predictor likes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.errors import SettingError
from foretell.search.history import History
from foretell.search.strategy import Proposal, Strategy
from foretell.spaces.base import Rows, Space
from foretell.strategies.parts.fresh import fresh, unknown
from foretell.strategies.parts.guided import best_of, fitted, mutants


@dataclass(frozen=True)
class PNAS(Strategy):
    """Progressive widening: stage b trains the best foretold rows that b decisions tell from plain.

    The plain network is `space.baseline()`. Stage b looks at every row that one more decision makes
    of the rows of stage b - 1, and trains those `width` with the highest prediction of a
    predictor that has seen all results of the stages before; of fewer all. Stage 1 has no
    predictor and takes some at random. After the last stage the surroundings of the best rows are
    looked at in the same way.

    Args:
        width: K, rows that a stage trains and expands, 2 or more.
        predictor: a catalog name, or an unfitted regressor on rows.
        predictor_settings: arguments of a predictor given by name.
        repeats: whether a function may come again that is written differently.

    References: Liu et al., Progressive Neural Architecture Search, ECCV 2018, algorithm 1 (there
    K = 256 and an ensemble of recurrent networks). Differs: the paper's cells grow by a block; a
    row has all of its decisions from the start, and grows by those that differ from the plain one.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> search = ft.Search(space, PNAS(width=8), seed=0)
    >>> X = search.ask(8)
    >>> search.tell(X, (X == 3).sum(axis=1))
    >>> plain = space.baseline()[1]
    >>> int((search.ask(8) != plain).sum(axis=1).max())
    2
    """

    width: int = 20
    predictor: Any = "bananas"
    predictor_settings: Mapping[str, Any] = field(default_factory=dict)
    repeats: bool = False

    def __post_init__(self) -> None:
        if self.width < 2:
            raise SettingError("pnas, width", expected="at least 2", got=self.width)

    def propose(self, space: Space, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """The rest of the stage where the search is; then of the next ones, as far as known."""
        plain = self.plain(space)
        X, known, model = history.X[:0], history.ok.latest, None
        if not len(history.latest):
            X = plain[:n]
        if len(known) >= 2:
            model = fitted(self.predictor, self.predictor_settings, space, known.X, known.y, rng)
        for stage in range(1, space.d + 1):
            if len(X) >= n:
                break
            out = history.with_pending(X)
            there = self._distance(space, plain, out.latest.X)
            left = self.width - int((there == stage).sum())
            if left < 1:
                continue
            if stage == 1:
                parents = plain
            else:
                near = self._distance(space, plain, known.X) == stage - 1
                parents = best_of(known.X[near], known.y[near], self.width)
            around = _around(space, parents)
            around = around[self._distance(space, plain, around) == stage]
            X = np.concatenate(
                [X, self._chosen(space, out, around, model, min(left, n - len(X)), rng)]
            )
        if len(X) < n:  # past the last stage, or its rows are still out
            parents = best_of(known.X, known.y, self.width) if len(known) else plain
            out = history.with_pending(X)
            around = _around(space, parents)
            X = np.concatenate([X, self._chosen(space, out, around, model, n - len(X), rng)])
        out = history.with_pending(X)
        draw = mutants(space, best_of(known.X, known.y, self.width) if len(known) else plain, rng)
        return Proposal(
            np.concatenate([X, fresh(space, out, n - len(X), draw, rng, self.repeats)]), model=model
        )

    def _chosen(
        self,
        space: Space,
        history: History,
        rows: Rows,
        model: Any,
        n: int,
        rng: np.random.Generator,
    ) -> Rows:
        """At most `n` of the rows that nobody knows: the best foretold, or some at random."""
        rows = unknown(space, history, rows[rng.permutation(len(rows))], self.repeats)
        if model is None or not len(rows):
            return rows[:n]
        return best_of(rows, model.predict(rows), n)

    def plain(self, space: Space) -> Rows:
        """The row where it begins, (1, d); the first of a list where the space has no baseline."""
        named = space.baseline()
        if named is not None:
            return np.asarray(named[1])[None].astype(space._dtype)
        return next(space.enumerate(1))

    def _distance(self, space: Space, plain: Rows, X: Rows) -> NDArray[np.int64]:
        """How many decisions tell rows (n, d) from the plain one, (n,)."""
        return np.asarray((space.canonical_form(X) != plain).sum(axis=1))

    def round_size(self, history: History) -> int:
        """The plain row and stage 1 together, then a stage."""
        done = len(history.told.latest)
        return self.width + 1 - done if done <= self.width else self.width


def _around(space: Space, parents: Rows) -> Rows:
    """All neighbours of rows (m, d)."""
    return np.concatenate([parents[:0], *(space.neighbors(x) for x in parents)])
