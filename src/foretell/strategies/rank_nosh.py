"""RANK-NOSH: a pyramid of paused trainings, and a ranker that learns who got how far."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from foretell.errors import SettingError
from foretell.search.history import OK, Floats, History
from foretell.search.strategy import Proposal, Strategy
from foretell.spaces.base import Space
from foretell.strategies.parts.brackets import next_due
from foretell.strategies.parts.guided import (
    best_of,
    check_warm,
    consensus,
    fitted,
    opening,
    top,
)


@dataclass(frozen=True)
class RankNOSH(Strategy):
    """Non-uniform successive halving: all rows stay in a pyramid, where they may be resumed.

    A round trains `batch` new rows to the first level. Then, level by level, the best paused rows
    are trained on to the next one until that holds floor(share m) of the m rows that ever reached
    the level below, old and new ones together. New rows are the best of the space that the ranker
    foretells; it learns the order of pairs of all rows: by the level that they have reached, and by
    the value there at the same level, so that no row needs to be trained to the end to teach it.

    With `zero`, encodings or evidence are the evaluation at epoch 0: the ranker proposes
    `batch` / `share` rows, and the best share of them by their consensus is trained.

    Args:
        levels: epochs of the levels; None for 1/8, 1/4, 1/2 and all of a whole training.
        share: of a level that goes on to the next, between 0 and 1.
        batch: new rows of a round, 1 or more; the first round is random.
        predictor: a catalog name, or an unfitted regressor on rows; best one that learns the order.
        predictor_settings: arguments of a predictor given by name.
        zero: encodings or evidence that are known before any training; None for none.
        limit: rows of a large space that are ranked.
        repeats: whether a function may come again that is written differently.

    References: Wang et al., RANK-NOSH: Efficient Predictor-Based Architecture Search via
    Non-Uniform Successive Halving, ICCV 2021, section 3. Differs: the paper's levels are 5, 10, 20
    and 40 epochs of its own spaces; the ranker is any predictor, by default that of BRP-NAS.

    >>> import foretell as ft
    >>> strategy = RankNOSH(batch=4, predictor="gp")
    >>> search = ft.Search(ft.spaces.get("nb201"), strategy, max_epochs=40)
    >>> X, epochs = search.ask_epochs(4)
    >>> search.tell(X, [0.3, 0.1, 0.4, 0.2])
    >>> rest, more = search.ask_epochs(search.due)
    >>> epochs.tolist(), bool((rest == X[[2, 0]]).all()), more.tolist()
    ([5, 5, 5, 5], True, [10, 10])
    """

    levels: tuple[int, ...] | None = None
    share: float = 0.5
    batch: int = 10
    predictor: Any = "brp"
    predictor_settings: Mapping[str, Any] = field(default_factory=dict)
    zero: Any = None
    limit: int | None = 200_000
    repeats: bool = False

    def __post_init__(self) -> None:
        rising = self.levels is None or (
            min(self.levels, default=0) >= 1 and list(self.levels) == sorted(set(self.levels))
        )
        for name, good, expected in (
            ("levels", rising, "rising epochs from 1, or None"),
            ("share", 0 < self.share < 1, "between 0 and 1"),
            ("batch", self.batch >= 1, "at least 1"),
            ("limit", self.limit is None or self.limit >= 1, "at least 1, or None"),
        ):
            if not good:
                raise SettingError(f"rank-nosh, {name}", expected=expected, got=getattr(self, name))
        check_warm("rank-nosh", self.zero)

    def epochs(self, history: History) -> tuple[int, ...]:
        """The levels below the whole training, and that.

        Raises: SettingError where nothing says what a whole training is.
        """
        whole = history.max_epochs
        if whole < 1:
            raise SettingError(
                "a search that pauses trainings needs to know how long a whole one is",
                expected="max_epochs of at least 1",
                got=whole,
                hint='pass it, as in ft.Search(space, "rank-nosh", max_epochs=40)',
            )
        levels = self.levels or tuple(math.ceil(whole / 2**k) for k in (3, 2, 1))
        return (*sorted({one for one in levels if one < whole}), whole)

    def promotions(self, history: History) -> Proposal | None:
        """Paused rows that the next level lacks, when nothing is out."""
        if len(history.pending):
            return None
        rows = history.latest
        share = Fraction(self.share).limit_denominator(1000)
        return next_due(rows[rows.status == OK], self.epochs(history), share, 0)

    def propose(self, space: Space, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """Paused rows that go on; when there are none and nothing is out, new ones."""
        first = self.epochs(history)[0]
        if len(history.pending) and len(history.told):
            return Proposal(history.X[:0], np.zeros(0, dtype=np.int64))
        due = self.promotions(history)
        if due is not None:
            assert due.epochs is not None  # a promotion says how far
            return Proposal(due.X[:n], due.epochs[:n])
        known = history.ok.latest
        n_random = n if len(known) < 2 else min(n, max(self.batch - len(history.latest), 0))
        X, model = opening(space, history, n_random, rng, self.zero, repeats=self.repeats), None
        if n_random < n:
            model = fitted(
                self.predictor, self.predictor_settings, space, known.X, reached(known), rng
            )
            k = n - n_random
            out = history.with_pending(X)
            size = k if self.zero is None else math.ceil(k / self.share)
            found = top(space, model, size, out, rng, self.limit, self.repeats)
            if self.zero is not None:
                found = best_of(found, consensus(space, self.zero, found), k)
            X = np.concatenate([X, found])
        return Proposal(X, np.full(len(X), first), model)

    def round_size(self, history: History) -> int:
        """Who goes on; else what is left of the first round, or a round."""
        due = self.promotions(history)
        if due is not None:
            return len(due.X)
        done = len(history.told.latest)
        return self.batch - done if done < self.batch else self.batch


def reached(known: History) -> Floats:
    """Places of rows in the order of the pyramid, (n,): by epochs, then by the value there.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> rows = History.of(space, space.sample(4, rng=0), [0.9, 0.5, 0.6, 0.8], epochs=[1, 4, 4, 1])
    >>> reached(rows).tolist()
    [1.0, 2.0, 3.0, 0.0]
    """
    pairs = np.column_stack([known.epochs, known.y])
    return np.unique(pairs, axis=0, return_inverse=True)[1].reshape(-1).astype(np.float64)
