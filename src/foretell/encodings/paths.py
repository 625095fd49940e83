"""Path encoding: which sequences of operations lead from the input to the output."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.encodings.base import Encoding
from foretell.errors import SettingError
from foretell.spaces.base import Rows, Space

_EXACT = 4096  # above so many possible sequences, columns are hashed
_BASE = 1_000_003  # of the polynomial hash


class Paths(Encoding):
    """One column for each sequence of operations on a path from input to output.

    The sequence o_1 ... o_L (operations numbered 0 to q - 1 in the order of `space.vocabulary`,
    without input and output) has column

        sum_{i=0}^{L-1} q^i (o_{i+1} + 1),        the empty path column 0,

    so short paths come first, and keeping the first `max_paths` columns is the truncated path
    encoding. Paths with equal sequences share a column; renaming vertices changes nothing.

    The longest path is that of the union of all edges seen in 1,024 rows drawn with a fixed seed.
    Where more than 4,096 sequences are possible and `max_paths` is None, columns are hashed:
    sum_i 1000003^(L-i) (o_i + 1) mod 4,093. In a space of chains each row is one path, and this
    encoding only tells equal from different: take `one-hot` or `canonical` there.

    Args:
        space: the space whose rows it sees.
        max_paths: keep the first so many columns; None for all of them.
        counts: how many paths have the sequence, instead of whether one has.

    Shapes: (n, d) to (n, min(max_paths, sum_{l=0}^{L} q^l)) for q operations, L the longest path.

    References: White et al. 2020, A Study on Encodings for NAS, section 3.1; White et al. 2021,
    BANANAS.
    Differs: an operation that carries nothing ('none' of NAS-Bench-201) makes no path, so
    NAS-Bench-201 has 85 columns and not 5 + 25 + 125.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> x = [[4, 0, 0, 1, 1, 0]]  # a skip; and a pool (operation 3), then a skip (operation 0)
    >>> np.flatnonzero(Paths(space).transform(x)[0])  # 0 + 1; (3 + 1) + 4 (0 + 1)
    array([1, 8])
    """

    pure = True

    def __init__(self, space: Space, max_paths: int | None = None, counts: bool = False) -> None:
        self.space = space
        self.max_paths = max_paths
        self.counts = counts

    def encode(self, X: Rows) -> NDArray[np.float32]:
        """Bits or counts (n, f)."""
        if self.max_paths is not None and self.max_paths < 1:
            raise SettingError("max_paths", expected="at least 1, or None", got=self.max_paths)
        total = n_sequences(self.space)
        hashed = self.max_paths is None and total > _EXACT
        width = _EXACT if hashed else min(self.max_paths or total, total)
        out = np.zeros((len(X), width), dtype=np.float32)
        step = 16_384
        for start in range(0, len(X), step):
            block = out[start : start + step]
            row, code, count = _walk(self.space, X[start : start + step], width, hashed)
            np.add.at(block, (row, code), count.astype(np.float32))
        return out if self.counts else np.minimum(out, 1.0)


def _walk(
    space: Space, X: Rows, width: int, hashed: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """All (row, column, number of paths), by growing all paths of all rows one edge at a time.

    Paths of one row that stand at one vertex with one code are merged, so there are never more
    than `width` at a vertex, however many paths the graph has.
    """
    ops, adjacency = space.graphs(X)
    v, q = ops.shape[1], max(len(space.vocabulary) - 2, 1)
    row: NDArray[np.int64] = np.arange(len(X))
    at, code = np.zeros_like(row), np.zeros_like(row)
    count: NDArray[np.float64] = np.ones(len(X))
    done: list[tuple[Any, ...]] = []
    for length in range(v - 1):
        step, to = np.nonzero(adjacency[row, at])
        row, code, count = row[step], code[step], count[step]
        end = to == v - 1
        done.append((row[end], code[end], count[end]))
        row, code, count, at = row[~end], code[~end], count[~end], to[~end]
        if not len(row):
            break
        word = ops[row, at].astype(np.int64) - 1
        code = (code * _BASE + word) % 4093 if hashed else code + min(q**length, width) * word
        keep = code < width
        key = (row[keep] * v + at[keep]) * width + code[keep]
        key, back = np.unique(key, return_inverse=True)
        count = np.bincount(back, count[keep], len(key)).astype(np.float64)
        key, code = np.divmod(key, width)
        row, at = np.divmod(key, v)
    rows, codes, counts = zip(*done, strict=True)
    return np.concatenate(rows), np.concatenate(codes), np.concatenate(counts)


@functools.lru_cache(maxsize=32)
def n_sequences(space: Space) -> int:
    """How many sequences of operations a path can have: sum of q^l up to the longest path."""
    graphs = space.graphs(space.sample(1024, rng=0))
    union: NDArray[np.bool_] = np.any(graphs.adjacency, axis=0)
    longest = np.full(len(union), -1)  # inner vertices on the longest path from the input
    longest[0] = 0
    for j in range(1, len(union)):
        before = longest[:j][union[:j, j]]
        if len(before) and before.max() >= 0:
            longest[j] = before.max() + 1
    q = len(space.vocabulary) - 2
    return sum(q**length for length in range(max(int(longest[-1]), 1)))
