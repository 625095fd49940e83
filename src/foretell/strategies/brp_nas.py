"""BRP-NAS: rounds that train the top of a ranking, and some at random from its upper part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from foretell.errors import SettingError
from foretell.search.history import History
from foretell.search.strategy import Proposal, Strategy
from foretell.spaces.base import Rows, Space
from foretell.strategies.parts.fresh import fresh
from foretell.strategies.parts.guided import best_of, fitted, opening, top


@dataclass(frozen=True)
class BRPNAS(Strategy):
    """Iterative data selection, then the top of the last ranking.

    The first of `iterations` rounds of `per_round` rows is random. Before each later round
    i = 1, 2, ... the predictor is fitted on all results and ranks the space: a share `top` of the
    round are the best ranked, the others are drawn at random from the best 2^-i of the ranking, so
    that the predictor is taught where it is going to be asked. After the last round all further
    rows are the best ranked.

    Args:
        iterations: I, rounds in which results are gathered, 1 or more.
        per_round: rows of a round, 2 or more.
        top: share of a round that is taken from the top, 0 to 1.
        predictor: a catalog name, or an unfitted regressor on rows.
        predictor_settings: arguments of a predictor given by name.
        batch: results between two fits after the last round; None for one ranking.
        ranked: random rows that stand for the space where the best 2^-i of it are drawn from.
        limit: rows of a large space that are ranked for the top.
        repeats: whether a function may come again that is written differently.

    References: Dudziak et al., BRP-NAS: Prediction-based NAS using GCNs, NeurIPS 2020, section 3.3
    and algorithm 1. Differs: where the paper ranks a fixed subset of a large space, the top comes
    from `foretell.search.ranking.rank`, and the random part from `ranked` random rows.

    >>> import foretell as ft
    >>> strategy = BRPNAS(iterations=2, per_round=10, predictor="gp")
    >>> search = ft.Search(ft.spaces.get("nb201"), strategy, seed=0)
    >>> for _ in range(2):
    ...     X = search.ask(search.round_size)
    ...     search.tell(X, (X == 3).sum(axis=1))
    >>> search.n_rows, search.round_size
    (20, None)
    """

    iterations: int = 5
    per_round: int = 20
    top: float = 0.5
    predictor: Any = "brp"
    predictor_settings: Mapping[str, Any] = field(default_factory=dict)
    batch: int | None = None
    ranked: int = 16_384
    limit: int | None = 200_000
    repeats: bool = False

    def __post_init__(self) -> None:
        for name, good, expected in (
            ("iterations", self.iterations >= 1, "at least 1"),
            ("per_round", self.per_round >= 2, "at least 2"),
            ("top", 0 <= self.top <= 1, "0 to 1"),
            ("batch", self.batch is None or self.batch >= 1, "at least 1, or None"),
            ("ranked", self.ranked >= 1, "at least 1"),
            ("limit", self.limit is None or self.limit >= 1, "at least 1, or None"),
        ):
            if not good:
                raise SettingError(f"brp-nas, {name}", expected=expected, got=getattr(self, name))

    def propose(self, space: Space, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """A round at random; then top and upper part of the ranking; at last the top alone."""
        known, done = history.ok.latest, len(history.latest)
        n_random = n if len(known) < 2 else min(n, max(self.per_round - done, 0))
        X = opening(space, history, n_random, rng, repeats=self.repeats)
        if n_random == n:
            return Proposal(X)
        model = fitted(self.predictor, self.predictor_settings, space, known.X, known.y, rng)
        i, left = (done + n_random) // self.per_round, n - n_random
        at = (done + n_random) % self.per_round  # a share of the round, however it is asked for
        n_top = round(self.top * (at + left)) - round(self.top * at)
        n_upper = left - n_top if i < self.iterations else 0
        out = history.with_pending(X)
        if n_upper < left:
            best = top(space, model, left - n_upper, out, rng, self.limit, self.repeats)
            X, out = np.concatenate([X, best]), out.with_pending(best)
        if n_upper:
            drawn = space.sample(max(self.ranked, n_upper), rng)
            upper = best_of(drawn, model.predict(drawn), max(len(drawn) >> i, n_upper))

            def draw(k: int) -> Rows:
                return upper[rng.integers(len(upper), size=k)]

            rest = fresh(space, out, n_upper, draw, rng, self.repeats)
            X = np.concatenate([X, rest])
        return Proposal(X, model=model)

    def round_size(self, history: History) -> int | None:
        """The rest of the round; after the last one `batch`."""
        done = len(history.told.latest)
        return (
            self.per_round - done % self.per_round
            if done < self.iterations * self.per_round
            else self.batch
        )
