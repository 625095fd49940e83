"""`listed`: a space that holds only the rows of a list, such as those of a partial table."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foretell._rng import as_rng
from foretell.spaces.base import Rng, Rows, Space


def listed(space: Space, X: ArrayLike) -> Space:
    """The same space with only the rows `X`: it samples, mutates and enumerates nothing else.

    Encodings, graphs, keys, strings and networks are those of `space`. A mutant is
    a random neighbour of its parent in the list, or any row of the list where there is none.

    Shapes: `X` (m, d); equal rows count once.

    >>> import foretell as ft
    >>> few = listed(ft.spaces.get("nb201"), ft.spaces.get("nb201").sample(50, rng=0))
    >>> few.size, bool(few.contains(few.mutate(few.sample(10, rng=1), rng=2)).all())
    (50, True)
    """
    rows = space.canonical_form(space.check(X))
    keys, first = np.unique(space.row_key(rows), return_index=True)
    kind = type(f"Listed{type(space).__name__}", (_Listed, type(space)), {})
    other: Space = copy.copy(space)
    other.__class__ = kind
    other.__dict__.update(_listed_from=space, _rows=rows[np.sort(first)], _row_keys=keys, _near={})
    return other


class _Listed(Space):
    """Comes before the class of the space, whose methods it narrows."""

    _listed_from: Space
    _rows: Rows
    _row_keys: NDArray[np.uint64]  # ascending
    _near: dict[int, Rows]  # by key of a row: its neighbours in the list, once they were asked for

    def __reduce__(self) -> tuple[Any, ...]:
        """Its class is made while the program runs; other processes make it again."""
        return listed, (self._listed_from, self._rows)

    @property
    def size(self) -> int:
        return len(self._rows)

    def valid(self, X: Rows) -> NDArray[np.bool_]:
        if not len(self._row_keys):
            return np.zeros(len(X), dtype=bool)
        keys = self.row_key(X)
        at = np.minimum(np.searchsorted(self._row_keys, keys), len(self._row_keys) - 1)
        inside: NDArray[np.bool_] = self._row_keys[at] == keys
        return inside & super().valid(X)

    def sample(self, n: int, rng: Rng = None) -> Rows:
        return self._rows[as_rng(rng).integers(len(self._rows), size=n)]

    def mutate(self, X: ArrayLike, rng: Rng = None) -> Rows:
        rng = as_rng(rng)
        parents = self.canonical_form(self.check(X))
        children = self.sample(len(parents), rng)
        keys, first, of = np.unique(self.row_key(parents), return_index=True, return_inverse=True)
        near = [self._around(int(key), x) for key, x in zip(keys, parents[first], strict=True)]
        count = np.array([len(rows) for rows in near], dtype=np.int64)
        pick = np.floor(rng.random(len(parents)) * count[of]).astype(np.int64)
        has = count[of] > 0
        if has.any():
            children[has] = np.concatenate(near)[((np.cumsum(count) - count)[of] + pick)[has]]
        return children

    def neighbors(self, x: ArrayLike) -> Rows:
        base = self.canonical_form(self._row(x))
        return self._around(int(self.row_key(base)[0]), base[0]).copy()

    def _around(self, key: int, x: Rows) -> Rows:
        """Neighbours of a row of the list, looked for once."""
        if key not in self._near:
            rows = super().neighbors(x)
            self._near[key] = rows[self.valid(rows)]
        return self._near[key]

    def enumerate(self, batch: int = 65_536) -> Iterator[Rows]:
        for start in range(0, len(self._rows), batch):
            yield self._rows[start : start + batch]
