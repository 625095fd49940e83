"""Bayesian optimisation: the rows that promise most, by any predictor and any acquisition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, get_args

import numpy as np

from foretell.acquisition import NAMES, Acquisition
from foretell.errors import SettingError
from foretell.search.history import History
from foretell.search.strategy import Proposal, Strategy
from foretell.spaces.base import Rows, Space
from foretell.strategies.parts.fresh import fresh, unknown
from foretell.strategies.parts.guided import (
    Scored,
    around,
    best_of,
    check_warm,
    evolved,
    fitted,
    opening,
    top,
)

Candidates = Literal["space", "mutants", "evolved", "random"]


@dataclass(frozen=True)
class BO(Strategy):
    """Random rows, then again and again those of some candidates with the best acquisition.

    After `n_train` random rows: (1) the predictor is fitted on every finished result, (2)
    candidates that nobody knows are gathered, (3) those with the highest acquisition
    (`foretell.acquisition`) are proposed, `batch` between two tells. Candidates are

        "space"    all rows, or very many of a large space (`foretell.search.ranking.rank`),
        "mutants"  `pool` mutants of the best `parents` results, then of the next best ones while
                   there are fewer that nobody knows,
        "evolved"  what an evolution led by the acquisition alone comes across: `pool` parents and
                   children in `generations` generations, from the best results and random rows,
        "random"   `pool` random rows.

    Rows that are out count with what is predicted for them (the "kriging believer"), so that the
    uncertainty beside them is less; with `fits` above 1 so do the rows of a batch that are chosen
    already. A Thompson sample ("ts") is the mean of the predictor fitted on a bootstrap of the
    results, which is a joint draw for any predictor, with or without an uncertainty.

    Most searches led by a predictor are this one with other settings: recipes of the catalog.

    Args:
        n_train: random rows at the start, 2 or more.
        predictor: a catalog name, or an unfitted regressor on rows.
        predictor_settings: arguments of a predictor given by name.
        batch: results between two fits, 1 or more.
        acquisition: "ei", "pi", "ucb", "ts", "its", or "mean", which explores nothing.
        beta: of "ucb", mean + beta std.
        target: the value to improve on of "ei" and "pi"; None for the best result.
        candidates: where the next rows may lie, see above.
        pool: how many candidates, where it is not the whole space.
        parents: the best results that are mutated together.
        generations: of "evolved".
        fits: fits that a batch is divided among.
        warm: encodings or evidence: the first rows are the best of ten times as many random ones
            by their consensus; None for random rows.
        limit: rows of a large space that are scored with "space".
        repeats: whether a function may come again that is written differently.

    References: White et al., BANANAS, AAAI 2021, algorithm 1 and section 4; Ginsbourger et al.,
    Kriging Is Well-Suited to Parallelize Optimization, 2010.

    >>> import foretell as ft
    >>> search = ft.Search(ft.spaces.get("nb201"), BO(n_train=10, batch=2), seed=0)
    >>> X = search.ask(10)
    >>> search.tell(X, (X == 3).sum(axis=1))
    >>> search.round_size, search.ask(2).shape
    (2, (2, 6))
    """

    n_train: int = 10
    predictor: Any = "gp"
    predictor_settings: Mapping[str, Any] = field(default_factory=dict)
    batch: int = 5
    acquisition: Acquisition = "ei"
    beta: float = 1.0
    target: float | None = None
    candidates: Candidates = "space"
    pool: int = 100
    parents: int = 1
    generations: int = 20
    fits: int = 1
    warm: Any = None
    limit: int | None = 200_000
    repeats: bool = False

    def __post_init__(self) -> None:
        kinds = get_args(Candidates)
        for name, good, expected in (
            ("n_train", self.n_train >= 2, "at least 2"),
            ("batch", self.batch >= 1, "at least 1"),
            ("acquisition", self.acquisition in NAMES, "one of " + ", ".join(NAMES)),
            ("candidates", self.candidates in kinds, "one of " + ", ".join(kinds)),
            ("pool", self.pool >= 1, "at least 1"),
            ("parents", self.parents >= 1, "at least 1"),
            ("generations", self.generations >= 0, "at least 0"),
            ("fits", self.fits >= 1, "at least 1"),
            ("limit", self.limit is None or self.limit >= 1, "at least 1, or None"),
        ):
            if not good:
                raise SettingError(f"bo, {name}", expected=expected, got=getattr(self, name))
        check_warm("bo", self.warm)

    def propose(self, space: Space, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """Random rows until `n_train` are known or out, then those that promise most."""
        known = history.ok.latest
        n_random = n if len(known) < 2 else min(n, max(self.n_train - len(history.latest), 0))
        X = opening(space, history, n_random, rng, self.warm, repeats=self.repeats)
        out = history.pending.latest.X
        model = None
        for left in range(min(self.fits, n - len(X)), 0, -1):
            model = self._model(space, known, np.concatenate([out, X]), rng)
            best = float(known.y.max()) if self.target is None else self.target
            scored = Scored(model, self.acquisition, best, self.beta, rng)
            share = -((len(X) - n) // left)
            more = self._choose(space, history.with_pending(X), scored, share, rng)
            X = np.concatenate([X, more])
        return Proposal(X, model=model)

    def _model(self, space: Space, known: History, out: Rows, rng: np.random.Generator) -> Any:
        """The predictor, fitted on results, and on what it says itself of rows that are out."""
        X, y = known.X, known.y
        if self.acquisition == "ts":
            drawn = rng.integers(len(X), size=len(X))
            X, y = X[drawn], y[drawn]
        model = fitted(self.predictor, self.predictor_settings, space, X, y, rng)
        if not len(out):
            return model
        X, y = np.concatenate([X, out]), np.concatenate([y, model.predict(out)])
        return fitted(self.predictor, self.predictor_settings, space, X, y, rng)

    def _choose(
        self, space: Space, history: History, scored: Scored, n: int, rng: np.random.Generator
    ) -> Rows:
        """The `n` candidates that promise most."""
        if self.candidates == "space":
            return top(space, scored, n, history, rng, self.limit, self.repeats)
        size = max(self.pool, n)
        known, found = history.ok.latest, history.X[:0]
        best = best_of(known.X, known.y, len(known))
        if self.candidates == "mutants":
            found = around(space, history, best, size, rng, self.parents, self.repeats)
        elif self.candidates == "evolved":
            start = np.concatenate([best[:size], space.sample(size, rng)])
            score = scored.predict
            found = evolved(space, score, start, rng, size, self.generations, self.repeats)
            found = unknown(space, history, found, self.repeats)
        least = size if self.candidates == "random" else n
        if len(found) < least:
            out = history.with_pending(found)
            draw = partial(space.sample, rng=rng)
            more = fresh(space, out, least - len(found), draw, rng, self.repeats)
            found = np.concatenate([found, more])
        return best_of(found, scored.predict(found), n)

    def round_size(self, history: History) -> int:
        """The rest of the random rows, then `batch`."""
        done = len(history.told.latest)
        return self.n_train - done if done < self.n_train else self.batch
