"""`rank`: the best predicted architectures of a whole space, in constant memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foretell._rng import as_rng
from foretell.errors import SettingError
from foretell.spaces import _hash
from foretell.spaces.base import Rng, Rows, Space

_BLOCK = 65_536  # rows predicted at once
_PARENTS = 32  # rows whose neighbourhood one round of local improvement looks at
_ROUNDS = 8  # of local improvement, at most


@dataclass(frozen=True)
class Ranking:
    """Architectures, best predicted first.

    Shapes: `X` (k, d), `mean` (k,), `std` (k,) or None where the predictor has no uncertainty.
    `n_scored` is how many predictions it took.
    """

    X: Rows
    mean: NDArray[np.float64]
    std: NDArray[np.float64] | None
    n_scored: int

    def __len__(self) -> int:
        return len(self.X)


def rank(
    space: Space,
    predictor: Any,
    k: int,
    *,
    exclude: ArrayLike = (),
    rng: Rng = None,
    limit: int = 1_000_000,
) -> Ranking:
    """The `k` rows of `space` with the highest prediction.

    Every row is scored when the space has at most `limit`. From a larger one `limit` random rows
    are scored, and then what one change of one decision makes of the best ones, again and again
    while that finds better ones. Memory does not grow with the size of the space. Equal
    predictions are ordered by a hash of `space.row_key`: the same in every process, and with no
    preference for one corner of the space.

    Args:
        space: where to look.
        predictor: fitted; anything with `predict(X)`, higher is better.
        k: how many rows; fewer come back when the space has no more.
        exclude: keys (`space.row_key`) of rows to leave out, such as those already known.
        rng: seed or generator of the random rows; not used when every row is scored.
        limit: the number of rows that may be scored one by one.

    Shapes: see `Ranking`.

    References: Wen et al., Neural Predictor for NAS, ECCV 2020, section 3 (step 3). Differs: the
    local improvement of samples from large spaces is ours.

    >>> import foretell as ft
    >>> class Sum:  # a made-up predictor: more of the later options is better
    ...     def predict(self, X):
    ...         return X.sum(axis=1).astype(float)
    >>> rank(ft.spaces.get("nb201"), Sum(), 2).mean.tolist()
    [24.0, 23.0]
    """
    if k < 1 or limit < 1:
        raise SettingError("rank", expected="k and limit of at least 1", got=(k, limit))
    top = _Top(space, predictor, k, np.asarray(exclude, dtype=np.uint64))
    if space.size <= limit:
        for rows in space.enumerate():
            top.add(rows)
        return top.ranking()
    rng = as_rng(rng)
    for start in range(0, limit, _BLOCK):
        top.add(space.sample(min(_BLOCK, limit - start), rng))
    looked_at = np.zeros(0, dtype=np.uint64)
    for _ in range(_ROUNDS):
        parents = top.X[~np.isin(top.keys, looked_at)][:_PARENTS]
        if not len(parents):
            break
        looked_at = np.concatenate([looked_at, space.row_key(parents)])
        top.add(np.concatenate([space.neighbors(x) for x in parents]))
    return top.ranking()


class _Top:
    """The best `k` of all rows added so far."""

    def __init__(self, space: Space, predictor: Any, k: int, exclude: NDArray[np.uint64]) -> None:
        self.space, self.predictor, self.k, self.exclude = space, predictor, k, exclude
        self.has_std = bool(getattr(predictor, "has_std", False))
        self.n_scored = 0
        self.X: Rows = np.zeros((0, space.d), dtype=space._dtype)
        self.keys = np.zeros(0, dtype=np.uint64)
        self.mean, self.std = np.zeros(0), np.zeros(0)

    def add(self, rows: Rows) -> None:
        """Score the rows that are new, and keep the best."""
        keys, first = np.unique(self.space.row_key(rows), return_index=True)
        new = ~np.isin(keys, np.concatenate([self.exclude, self.keys]))
        rows, keys = rows[first[new]], keys[new]
        if not len(rows):
            return
        self.n_scored += len(rows)
        if self.has_std:
            mean, std = self.predictor.predict(rows, return_std=True)
        else:
            mean, std = self.predictor.predict(rows), np.zeros(len(rows))
        mean = np.asarray(mean, dtype=np.float64)
        X, keys = np.concatenate([self.X, rows]), np.concatenate([self.keys, keys])
        mean, std = np.concatenate([self.mean, mean]), np.concatenate([self.std, std])
        worst_if_nan = np.where(np.isnan(mean), -np.inf, mean)
        best = np.lexsort((_hash.mix(keys), -worst_if_nan))[: self.k]
        self.X, self.keys, self.mean, self.std = X[best], keys[best], mean[best], std[best]

    def ranking(self) -> Ranking:
        """What is left."""
        return Ranking(self.X, self.mean, self.std if self.has_std else None, self.n_scored)
