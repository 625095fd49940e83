"""Drawing rows and stepping from row to row, for spaces that are choices and conditions."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from foretell.errors import SettingError, SpaceError
from foretell.spaces.parts.rows import Rows

ROUNDS = 1000


class _Space(Protocol):
    """What of a space moving about needs."""

    name: str
    n_options: NDArray[np.int64]
    _dtype: Any

    @property
    def d(self) -> int: ...

    def active(self, X: Rows) -> NDArray[np.bool_]: ...

    def canonical_form(self, X: Rows) -> Rows: ...

    def neighbors(self, x: Rows) -> Rows: ...

    def _is_valid(self, X: Rows) -> NDArray[np.bool_]: ...


def sample(space: _Space, n: int, rng: np.random.Generator) -> Rows:
    """`Space.sample`."""
    if not isinstance(n, (int, np.integer)) or n < 0:
        raise SettingError("number of samples", expected="an integer from 0", got=repr(n))
    found: list[Rows] = []
    need, tries = int(n), int(n)
    for _ in range(ROUNDS):
        drawn: NDArray[Any] = rng.integers(0, space.n_options, size=(tries, space.d))
        rows = space.canonical_form(drawn.astype(space._dtype))
        found.append(rows[space._is_valid(rows)][:need])
        need -= len(found[-1])
        if not need:
            return np.concatenate(found)
        tries = max(2 * need, 4096)
    raise SpaceError(
        f"space {space.name!r} found no valid row in {ROUNDS:,} draws of {tries:,}",
        hint="widen `valid`, or override `sample`",
    )


def mutate(space: _Space, parents: Rows, rng: np.random.Generator) -> Rows:
    """`Space.mutate` of rows in canonical form."""
    children = parents.copy()
    todo = np.flatnonzero((space.active(parents) & (space.n_options > 1)).any(axis=1))
    for _ in range(20):
        if not len(todo):
            return children
        rows = _changed(space, parents[todo], rng)
        good = space._is_valid(rows) & (rows != parents[todo]).any(axis=1)
        children[todo[good]] = rows[good]
        todo = todo[~good]
    for i in todo:  # few ways out of this row: look at all of them
        around = space.neighbors(parents[i])
        if len(around):
            children[i] = around[rng.integers(len(around))]
    return children


def _changed(space: _Space, X: Rows, rng: np.random.Generator) -> Rows:
    active = space.active(X)
    column = np.argmax(rng.random(X.shape) * (active & (space.n_options > 1)), axis=1)
    options = space.n_options[column]
    step = 1 + np.floor(rng.random(len(X)) * (options - 1)).astype(np.int64)
    filled: NDArray[Any] = rng.integers(0, space.n_options, size=X.shape)
    filled = np.where(active, X, filled)
    line = np.arange(len(X))
    filled[line, column] = (filled[line, column] + step) % options
    return space.canonical_form(filled.astype(space._dtype))


def neighbors(space: _Space, row: Rows) -> Rows:
    """`Space.neighbors` of one row in canonical form, shape (1, d)."""
    column = np.repeat(np.arange(space.d), space.n_options)
    option = np.concatenate([np.arange(k) for k in space.n_options])
    keep = space.active(row)[0, column] & (option != row[0, column])
    rows = np.repeat(row, keep.sum(), axis=0)
    rows[np.arange(len(rows)), column[keep]] = option[keep]
    rows = space.canonical_form(rows)
    rows = rows[space._is_valid(rows) & (rows != row).any(axis=1)]
    return np.unique(rows, axis=0) if len(rows) else rows
