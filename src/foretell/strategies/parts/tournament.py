"""Tournaments: the best of a random few."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foretell.search.history import Floats


def winners(y: Floats, k: int, size: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Indices of the winners of `k` tournaments of `size` members, drawn without replacement.

    Shapes: (n,) to (k,); of equals the one that was drawn first wins.

    >>> winners(np.array([1.0, 3.0, 2.0]), 2, 3, np.random.default_rng(0)).tolist()
    [1, 1]
    """
    size = min(size, len(y))
    drawn = np.argsort(rng.random((k, len(y))), axis=1)[:, :size]
    return np.asarray(drawn[np.arange(k), np.argmax(y[drawn], axis=1)])
