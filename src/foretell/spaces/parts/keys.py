"""Keys that cost much, remembered by the row they are of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from foretell.spaces.parts.rows import Rows

Keys = NDArray[np.uint64]

_KEPT = 65_536  # rows of each space that are remembered: 1 MiB
_memory: WeakKeyDictionary[Any, tuple[Keys, Keys]] = WeakKeyDictionary()


def remembered(
    owner: Any, X: Rows, row_key: Callable[[Rows], Keys], key: Callable[[Rows], Keys]
) -> Keys:
    """`key(X)`, of which only rows are computed that nobody has asked of this owner lately.

    A search asks the same few hundred rows again and again. More rows at once than are kept, as
    when a whole space is looked at, are computed and not remembered.

    Args:
        owner: the space; what is remembered goes with it.
        X: rows, (n, d).
        row_key: cheap, different for different rows.
        key: dear, a function of the row.

    Shapes: (n, d) to (n,).
    """
    if len(X) > _KEPT // 4:
        return key(X)
    mine = row_key(X)
    rows, keys = _memory.get(owner, (np.zeros(0, np.uint64), np.zeros(0, np.uint64)))
    at = np.minimum(np.searchsorted(rows, mine), max(len(rows) - 1, 0))
    known = rows[at] == mine if len(rows) else np.zeros(len(mine), dtype=bool)
    out = np.empty(len(mine), dtype=np.uint64)
    out[known] = keys[at[known]]
    if not known.all():
        asked, first, back = np.unique(mine[~known], return_index=True, return_inverse=True)
        found = key(X[~known][first])
        out[~known] = found[back]
        if len(rows) + len(asked) > _KEPT:  # begin anew: what is asked again comes back
            rows, keys = rows[:0], keys[:0]
        together = np.concatenate([rows, asked])
        order = np.argsort(together)
        _memory[owner] = together[order], np.concatenate([keys, found])[order]
    return out
