"""What strategies that a predictor leads share: fitting it, and asking it for scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from foretell import acquisition, predictors
from foretell.acquisition import Acquisition
from foretell.encodings.base import Encoding
from foretell.errors import SettingError
from foretell.evidence import evidence_of
from foretell.predictors.base import Floats
from foretell.predictors.parts.features import encode, resolve
from foretell.predictors.parts.predicted import predicted
from foretell.search.history import History
from foretell.search.ranking import payable, rank
from foretell.spaces.base import Rows, Space
from foretell.strategies.parts.fresh import fresh, unknown

_MANY = 4  # mutants that are made for one that is wanted: many are known, or alike


def fitted(
    predictor: Any,
    settings: Mapping[str, Any],
    space: Space,
    X: Rows,
    y: Floats,
    rng: np.random.Generator,
) -> Any:
    """The catalog's predictor of that name, or a clone of a regressor, fitted on rows (n, d)."""
    model = predictors.unfitted(predictor, space, int(rng.integers(2**31)), settings)
    return model.fit(X, y)


class Scored(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A fitted model whose predictions are an acquisition, so that `rank` can rank by it.

    Args:
        model: fitted.
        kind: of `foretell.acquisition`.
        best: the value to improve on.
        beta: of "ucb".
        rng: of draws.
    """

    def __init__(
        self, model: Any, kind: Acquisition, best: float, beta: float, rng: np.random.Generator
    ) -> None:
        self.model = model
        self.kind = kind
        self.best = best
        self.beta = beta
        self.rng = rng

    def predict(self, X: Rows) -> Floats:
        """The acquisition of rows (n, d), (n,)."""
        mean, std = predicted(self.model, X)
        return acquisition.scores(self.kind, mean, std, self.best, self.rng, self.beta)

    def screen(self) -> Scored | None:
        """The same of the model without its evidence."""
        cheap = self.model.screen() if hasattr(self.model, "screen") else None
        return None if cheap is None else Scored(cheap, self.kind, self.best, self.beta, self.rng)


def top(
    space: Space,
    model: Any,
    n: int,
    history: History,
    rng: np.random.Generator,
    limit: int | None,
    repeats: bool = False,
) -> Rows:
    """The `n` rows of the space that `model` scores highest and that are new; else random ones.

    Shapes: returns (n, d), shorter only when the space is used up.
    """
    paid = payable(n) if evidence_of(model) else None
    found = rank(
        space,
        model,
        paid or n,
        exclude=history.X,
        repeats=repeats,
        rng=rng,
        limit=limit,
        evidence=paid,
    ).X[:n]
    known = history.with_pending(found)
    more = fresh(space, known, n - len(found), lambda k: space.sample(k, rng), rng, repeats)
    return np.concatenate([found, more])


def best_of(X: Rows, scores: Floats, n: int) -> Rows:
    """The `n` rows with the highest scores, best first; what is no number comes last."""
    return X[np.argsort(-np.where(np.isnan(scores), -np.inf, scores), kind="stable")[:n]]


def mutants(space: Space, parents: Rows, rng: np.random.Generator) -> Callable[[int], Rows]:
    """Draws k mutants of parents (m, d), which take turns."""
    return lambda k: space.mutate(parents[np.arange(k) % len(parents)], rng)


def around(
    space: Space,
    history: History,
    parents: Rows,
    size: int,
    rng: np.random.Generator,
    together: int = 1,
    repeats: bool = False,
) -> Rows:
    """Mutants that nobody knows: of the first `together` parents, and of the next until enough.

    Four times as many mutants as are wanted are made of each group of parents, best ones first.

    Shapes: `parents` (m, d); returns (k, d), k at most `size`, less where there are no more.
    """
    found = history.X[:0]
    for start in range(0, len(parents), together):
        some = parents[start : start + together]
        children = mutants(space, some, rng)(_MANY * size)
        new = unknown(space, history.with_pending(found), children, repeats)
        found = np.concatenate([found, new])
        if len(found) >= size:
            break
    return found[:size]


def evolved(
    space: Space,
    score: Callable[[Rows], Floats],
    start: Rows,
    rng: np.random.Generator,
    size: int,
    generations: int,
    repeats: bool = False,
) -> Rows:
    """The fittest `size` rows that an evolution led by `score` alone has come across, best first.

    Each generation adds a mutant of each of `size` parents, the winners of tournaments of two, and
    the best `size` of all stay. Nothing is evaluated.

    Shapes: `start` (m, d), m of at least 1; returns at most (size, d).
    """
    key = space.row_key if repeats else space.canonical
    X, F, keys = start, score(start), key(start)
    for generation in range(generations + 1):
        _, first = np.unique(keys, return_index=True)
        order = first[np.argsort(-F[first], kind="stable")][:size]
        X, F, keys = X[order], F[order], keys[order]
        if generation < generations:
            drawn = rng.integers(len(X), size=(size, 2)).min(axis=1)  # X is in order
            children = space.mutate(X[drawn], rng)
            X = np.concatenate([X, children])
            F = np.concatenate([F, score(children)])
            keys = np.concatenate([keys, key(children)])
    return X


def consensus(space: Space, encoding: Any, X: Rows) -> Floats:
    """How good rows look by the features of encodings or evidence alone: their mean rank, (n,).

    Each feature is worth the share of the rows that it puts below a row; where evidence has no
    answer, its mean takes the place.
    """
    features = encode(resolve(encoding, space, X), X)
    ordered = np.sort(features, axis=0)
    below = [np.searchsorted(ordered[:, j], features[:, j]) for j in range(features.shape[1])]
    return np.asarray(np.mean(below, axis=0) / len(X))


def opening(
    space: Space,
    history: History,
    n: int,
    rng: np.random.Generator,
    warm: Any = None,
    pool: int = 10,
    repeats: bool = False,
) -> Rows:
    """The first rows of a search: `n` random ones, or with `warm` the best of `pool` n by it."""
    if n < 1 or warm is None:
        return fresh(space, history, n, lambda k: space.sample(k, rng), rng, repeats)
    X = fresh(space, history, pool * n, lambda k: space.sample(k, rng), rng, repeats)
    return best_of(X, consensus(space, warm, X), n)


def check_warm(strategy: str, warm: Any) -> None:
    """Raises: SettingError unless `warm` is None, an encoding, its name, or several of them."""
    parts = warm if isinstance(warm, tuple) else (warm,)
    if warm is not None and not all(isinstance(one, (str, Encoding)) for one in parts):
        raise SettingError(
            f"{strategy}, warm",
            expected="an encoding or evidence, or a tuple of them",
            got=repr(warm),
        )
