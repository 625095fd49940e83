"""Rows of a space, and anything that may be rows as an array of integers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foretell.errors import SpaceError

Rows = NDArray[np.integer[Any]]  # (n, d): architectures
Rng = int | np.random.Generator | None


def as_integers(X: ArrayLike, d: int, name: str) -> NDArray[np.integer[Any]]:
    """`X` as integers of shape (n, d); floats and bools that are whole numbers are taken.

    Raises: SpaceError saying what came instead.
    """
    what, expected = f"architectures of space {name!r}", f"an integer array of shape (n, {d})"
    try:
        array = np.asarray(X)
    except (ValueError, TypeError):
        raise SpaceError(what, expected=expected, got="lists of different lengths") from None
    if array.dtype.kind in "OUST":
        how = "strings go through space.from_str"
        raise SpaceError(what, expected=expected, got=f"dtype {array.dtype}", hint=how)
    if array.ndim != 2 or array.shape[1] != d:
        hint = "one architecture is a row: X[None, :]" if array.shape == (d,) else None
        raise SpaceError(what, expected=expected, got=f"shape {array.shape}", hint=hint)
    if array.dtype.kind in "iu":
        return array
    with np.errstate(invalid="ignore"):
        whole = array.astype(np.int64) if array.dtype.kind in "fb" else None
    if whole is None or not np.array_equal(whole, array):
        raise SpaceError(what, expected="integers", got=f"dtype {array.dtype}")
    return whole


def places(sizes: Sequence[int]) -> NDArray[np.uint64] | None:
    """What one step in each column is worth among all rows counted through, (d,).

    None where 64 bits are too few to count them.

    >>> places([4, 2, 5]).tolist()
    [10, 5, 1]
    """
    if math.prod(sizes) > 2**64:
        return None
    worth = [math.prod(sizes[j + 1 :]) % 2**64 for j in range(len(sizes))]  # 2^64 only times 0
    return np.array(worth, dtype=np.uint64)
