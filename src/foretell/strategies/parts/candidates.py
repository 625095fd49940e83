"""Candidates: rows that a strategy may choose from, what they compute, and what encodings say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from foretell.encodings import Encoding
from foretell.encodings.parts.standard import Standard
from foretell.errors import SpaceError
from foretell.predictors.parts.features import FEATURES, resolve
from foretell.search.history import Floats
from foretell.spaces.base import Rows, Space

WHOLE = 32_768  # rows of a space that are looked at one by one
_DRAWN = 2_048  # random rows of a larger one
_PARENTS = 8  # best known rows, and best expected ones, whose neighbours are looked at
_CHILDREN = 512  # mutants of mutants of the best known rows
_ROUNDS = 3  # of neighbours of the best expected rows
_MOST = 4_096  # neighbours of one round


class View:
    """What several encodings say, each as a `Standard` of the features that vary.

    Args:
        encodings: of one space.
        X: rows of reference, (n, d); no results are needed.
    """

    def __init__(self, encodings: Sequence[Encoding], X: Rows) -> None:
        self.parts = [Standard(one, X, varying=True) for one in encodings]

    def __call__(self, X: Rows) -> list[Floats]:
        """Features (n, f) of rows, an array an encoding."""
        return [one(X) for one in self.parts]


def squared(features: list[Floats]) -> list[Floats]:
    """Squared lengths of features (n, f), an array (n,) an encoding."""
    return [np.einsum("ij,ij->i", F, F) for F in features]


@dataclass(frozen=True, eq=False)
class Candidates:
    """Rows to choose from, in canonical form, one of each function, or each with `repeats`.

    Args:
        space: of the rows.
        X: rows, (n, d).
        keys: what they compute, or how they are written, (n,), ascending.
        standard: what encodings say of any row.
        features: what they say of these, one array (n, f) an encoding.
        repeats: whether rows that compute the same are different.
    """

    space: Space
    X: Rows
    keys: NDArray[np.uint64]
    standard: View
    features: list[Floats]
    repeats: bool = False

    @cached_property
    def lengths(self) -> list[Floats]:
        """`squared` of the features."""
        return squared(self.features)

    @classmethod
    def of(cls, space: Space, X: Rows, repeats: bool = False) -> Self:
        """Rows (n, d), of which the first of each function stands for it."""
        rows = space.canonical_form(X)
        keys, first = np.unique(_key(space, repeats)(rows), return_index=True)
        rows = rows[first]
        standard = _standard(space)
        return cls(space, rows, keys, standard, standard(rows), repeats)

    def key(self, X: Rows) -> NDArray[np.uint64]:
        """What makes rows (n, d) different here, (n,)."""
        return _key(self.space, self.repeats)(X)

    def and_of(self, X: Rows) -> Self:
        """With further rows (m, d), where they are different."""
        rows = self.space.canonical_form(X)
        keys, first = np.unique(self.key(rows), return_index=True)
        new = ~np.isin(keys, self.keys)
        if not new.any():
            return self
        rows, keys = rows[first[new]], np.concatenate([self.keys, keys[new]])
        order = np.argsort(keys)
        features = [
            np.concatenate(both)[order]
            for both in zip(self.features, self.standard(rows), strict=True)
        ]
        X = np.concatenate([self.X, rows])[order]
        return replace(self, X=X, keys=keys[order], features=features)

    def __len__(self) -> int:
        return len(self.keys)

    def places(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Where functions are among these, (n,); -1 for one that is not."""
        at = np.minimum(np.searchsorted(self.keys, keys), max(len(self.keys) - 1, 0))
        return np.where(self.keys[at] == keys, at, -1)


def _key(space: Space, repeats: bool) -> Callable[[Rows], NDArray[np.uint64]]:
    return space.row_key if repeats else space.canonical


_SEEN: WeakKeyDictionary[Space, dict[bool, Candidates]] = WeakKeyDictionary()
_STANDARD: WeakKeyDictionary[Space, View] = WeakKeyDictionary()


def everything(space: Space, repeats: bool = False) -> Candidates | None:
    """All of a space, encoded once a process; None where it is too large for that."""
    if not _small(space):
        return None
    seen = _SEEN.setdefault(space, {})
    if repeats not in seen:
        seen[repeats] = Candidates.of(space, np.concatenate(list(space.enumerate())), repeats)
    return seen[repeats]


def _small(space: Space) -> bool:
    try:
        return space.size <= WHOLE
    except SpaceError:  # too large to count
        return False


def _standard(space: Space) -> View:
    """Encodings standardised on all functions of a space, or on random rows of a large one."""
    if space not in _STANDARD:
        if _small(space):
            X = np.concatenate(list(space.enumerate()))
        else:
            X = space.sample(_DRAWN, np.random.default_rng(0))
        X = space.canonical_form(X)
        X = X[np.unique(space.canonical(X), return_index=True)[1]]
        _STANDARD[space] = View(resolve(FEATURES, space, X), X)
    return _STANDARD[space]


def drawn(space: Space, also: Rows, rng: np.random.Generator, repeats: bool = False) -> Candidates:
    """Random rows of a large space, and `also`."""
    return Candidates.of(space, space.sample(_DRAWN, rng), repeats).and_of(also)


def around(
    found: Candidates,
    best: Rows,
    guess: Callable[[Candidates], Floats],
    rng: np.random.Generator,
) -> Candidates:
    """With what is near the best known rows, and near the best expected ones, again and again.

    Args:
        found: candidates so far.
        best: known rows, best first.
        guess: what is expected of candidates, higher is better.
        rng: of the draws.
    """
    space, parents = found.space, best[:_PARENTS]
    near = [found.X[:0], *(space.neighbors(x) for x in parents)]
    if len(parents):
        twice = parents[rng.integers(len(parents), size=_CHILDREN)]
        near.append(space.mutate(space.mutate(twice, rng), rng))
    found = found.and_of(_some(np.concatenate(near), rng))
    looked = found.key(parents)
    for _ in range(_ROUNDS):
        order = np.argsort(-guess(found), kind="stable")
        fresh = order[~np.isin(found.keys[order], looked)][:_PARENTS]
        looked = np.concatenate([looked, found.keys[fresh]])
        rows = np.concatenate([found.X[:0], *(space.neighbors(x) for x in found.X[fresh])])
        more = found.and_of(_some(rows, rng))
        if more is found:
            break
        found = more
    return found


def _some(rows: Rows, rng: np.random.Generator) -> Rows:
    return rows if len(rows) <= _MOST else rows[rng.choice(len(rows), _MOST, replace=False)]
