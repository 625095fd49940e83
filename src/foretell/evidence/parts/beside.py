"""Rows one change away from known ones, of which evidence costs nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar

import numpy as np

from foretell.spaces.base import Rows, Space

_PARENTS: ContextVar[Mapping[int, Rows]] = ContextVar("parents")


@contextlib.contextmanager
def mutants(space: Space, X: Rows, rng: np.random.Generator, n: int = 256) -> Iterator[Rows]:
    """`n` rows, each one change away from one of X (n, d); inside, evidence says of each what it
    says of the row it comes from.

    They show how a model varies beside what it knows; for that alone nothing is paid.
    """
    parents = X[rng.integers(len(X), size=n)]
    near = space.mutate(parents, rng)
    before = _PARENTS.set(dict(zip(space.row_key(near).tolist(), parents, strict=True)))
    try:
        yield near
    finally:
        _PARENTS.reset(before)


def parents(space: Space, rows: Rows) -> Rows:
    """The rows, and in the place of mutants those that they come from."""
    known = _PARENTS.get({})
    if not (known and len(rows)):
        return rows
    keys = space.row_key(rows).tolist()
    return np.stack([known.get(key, row) for key, row in zip(keys, rows, strict=True)])
