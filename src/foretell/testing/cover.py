"""A few architectures that together take every option of a space."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foretell._rng import as_rng
from foretell.spaces.base import Rng, Rows, Space


def cover(space: Space, n: int = 5_000, rng: Rng = 0) -> Rows:
    """Few rows with every option of every decision, and every operation of the graph view.

    Greedy set cover over a sample: again and again the row that has most of what is still missing;
    an option counts only in rows where its decision applies. The sample grows by `n` rows until
    these have nothing new.

    Args:
        space: any.
        n: rows of a draw; what none of them has is not covered.
        rng: seed or generator of the sample.

    Shapes: returns (k, d), k at most the number of options and operations.

    References: Chvátal, A greedy heuristic for the set-covering problem, 1979.

    >>> import foretell as ft
    >>> X = cover(ft.spaces.get("nb201"))
    >>> len(X), [len(set(column)) for column in X.T.tolist()]
    (6, [5, 5, 5, 5, 5, 5])
    """
    rng = as_rng(rng)
    X = space.sample(0, rng)
    has = _has(space, X)
    while True:
        Z = np.unique(np.concatenate([X, space.canonical_form(space.sample(n, rng=rng))]), axis=0)
        before, has = has.any(axis=0), _has(space, Z)
        X = Z
        if (has.any(axis=0) == before).all():
            break
    missing, chosen = has.any(axis=0), list[int]()
    while missing.any():
        chosen.append(int((has & missing).sum(axis=1).argmax()))
        missing &= ~has[chosen[-1]]
    return X[chosen]


def _has(space: Space, X: Rows) -> NDArray[np.bool_]:
    """Which options and operations each row has, (n, all of them)."""
    active = space.active(X)
    parts = [
        active[:, j, None] & (X[:, j, None] == np.arange(len(column.options)))
        for j, column in enumerate(space.choices)
    ]
    ops = space.graphs(X).ops
    parts += [(ops == op).any(axis=1, keepdims=True) for op in range(len(space.vocabulary))]
    return np.concatenate(parts, axis=1)
