"""The one way to draw rows that are new, and checks that strategies share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.errors import SettingError
from foretell.search.history import History
from foretell.spaces.base import Rows, Space


def cost_names(strategy: str, minimize: Any) -> None:
    """Raises: SettingError unless `minimize` is several different names."""
    good = isinstance(minimize, (tuple, list)) and all(isinstance(name, str) for name in minimize)
    if not good or len(set(minimize)) < len(minimize):
        raise SettingError(
            f"{strategy}, minimize",
            expected="different names of costs, like ('params',)",
            got=repr(minimize),
        )


def fresh(
    space: Space,
    history: History,
    n: int,
    draw: Callable[[int], Rows],
    rng: np.random.Generator,
    repeats: bool = False,
) -> Rows:
    """`n` rows from `draw(k)`, different from each other and from all of `history`.

    Different are rows that compute different functions (`space.canonical`); with `repeats` rows
    that are written differently (`space.row_key`).

    Draws again and again; when that no longer finds new rows it takes random ones, and at last
    (small or nearly finished spaces) whatever the enumeration still has.

    Shapes: returns (n, d), shorter only when the space is used up.
    """
    found = np.zeros((0, space.d), dtype=history.X.dtype)
    if n < 1:
        return found
    key = space.row_key if repeats else space.canonical
    known = key(history.X)
    for source in (draw, lambda k: space.sample(k, rng)):
        for _ in range(20):
            if len(found) >= n:
                return found[:n]
            found, known = _add_new(key, found, known, source(2 * (n - len(found)) + 8))
    for rows in space.enumerate():
        if len(found) >= n:
            break
        found, known = _add_new(key, found, known, rows)
    return found[:n]


def unknown(space: Space, history: History, rows: Rows, repeats: bool = False) -> Rows:
    """Those of some rows that are not in `history`, the first of each function (or spelling)."""
    key = space.row_key if repeats else space.canonical
    none = np.zeros((0, space.d), dtype=history.X.dtype)
    return _add_new(key, none, key(history.X), rows)[0]


def _add_new(
    key: Callable[[Rows], NDArray[np.uint64]],
    found: Rows,
    known: NDArray[np.uint64],
    rows: Rows,
) -> tuple[Rows, NDArray[np.uint64]]:
    keys = key(rows)
    _, first = np.unique(keys, return_index=True)
    new = np.zeros(len(rows), dtype=bool)
    new[first] = True
    ordered = np.sort(known)  # np.isin is ten times slower for few keys
    new &= np.searchsorted(ordered, keys, "left") == np.searchsorted(ordered, keys, "right")
    return np.concatenate([found, rows[new]]), np.concatenate([known, keys[new]])
