"""Graph statistics: how much of each operation lies on the paths of the graph view."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from foretell.encodings.base import Encoding
from foretell.spaces.base import Graphs, Rows, Space

_SUBSETS, _PAIRS = 4, 8  # all subsets, and else pairs, only up to so many operations


class GraphStats(Encoding):
    """How often operations stand on vertices and on paths from input to output.

    For each set S of operations - every proper subset up to 4 operations, else every single one
    and up to 8 every pair; and all of them - six numbers: how many vertices have one of S; the
    smallest, the largest and the mean number of them on a path; the share of paths that have at
    least one; and how many paths have none. They come from one pass in topological order,

        max_S(v) = [op(v) in S] + max_{u -> v} max_S(u),

    with min for the smallest; means and shares follow from the number of paths
    N(v) = sum_{u -> v} N(u). Then the number of edges and log(1 + N). So a pair of two
    convolutions gives the smallest and largest depth in convolutions, whatever else is on the way,
    and how many times the input reaches the output past all of them: with one such shortcut a
    network trains well, with several their sum grows from cell to cell.
    Nothing changes when vertices are renamed.

    Args:
        space: the space whose rows it sees.

    Shapes: (n, d) to (n, 6 s + 2) for s sets, ordered by number, then set; path statistics are 0
    where there is no path.

    References: Differs: foretell's own; features of paths are White et al. 2020.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")  # skip, conv 1x1, conv 3x3, pool; 4 + 6 + 4 + 1 sets
    >>> stats = GraphStats(space).transform([[3, 0, 3, 1, 0, 3]])[0]  # 3x3, 3x3, 3x3 beside a skip
    >>> stats[:-2].reshape(6, 15)[:, 2]  # of conv 3x3: vertices, min, max, mean, share, paths past
    array([3. , 0. , 3. , 1.5, 0.5, 1. ], dtype=float32)
    """

    pure = True

    def __init__(self, space: Space) -> None:
        self.space = space

    def groups(self) -> NDArray[np.int64]:
        """The six numbers of a set belong together."""
        s = members(self.space).shape[1]
        return np.array([*list(range(s)) * 6, s, s + 1])

    def encode(self, X: Rows) -> NDArray[np.float32]:
        """Statistics (n, f)."""
        member = members(self.space)
        step = 512  # fits a cache
        blocks = [
            _statistics(self.space.graphs(X[i : i + step]), member)
            for i in range(0, max(len(X), 1), step)
        ]
        return np.concatenate(blocks)


def members(space: Space) -> NDArray[np.float32]:
    """Which words (v + 1, the last one for no vertex) are in which sets S (s,), that of all last.

    The sets are every proper subset of up to 4 operations, else every single one and up to 8 every
    pair.
    """
    q = len(space.vocabulary) - 2
    largest = q - 1 if q <= _SUBSETS else 2 if q <= _PAIRS else 1
    sets = [one for k in range(1, largest + 1) for one in combinations(range(2, q + 2), k)]
    member = np.zeros((q + 3, len(sets) + 1), dtype=np.float32)
    for column, words_in in enumerate(sets):
        member[list(words_in), column] = 1.0
    member[2 : q + 2, -1] = 1.0
    return member


def _statistics(graphs: Graphs, member: NDArray[np.float32]) -> NDArray[np.float32]:
    """Features (n, 6 s + 2) for sets given as `member` (vocabulary + 1, s)."""
    table, ops = np.ascontiguousarray(member.T), np.ascontiguousarray(graphs.ops.T)
    edges = np.ascontiguousarray(graphs.adjacency.transpose(1, 2, 0))  # rows last: long inner loops
    weight, beyond = edges.astype(np.float64), np.where(edges, np.float32(0), np.float32(np.inf))
    (v, n), s = ops.shape, len(table)
    least = np.full((v, 2, s, n), np.inf, dtype=np.float32)  # the smallest and minus the largest
    sums = np.zeros((v, 2, s, n))  # over the paths that end here: members, and ones without any
    paths = np.zeros((v, n))
    least[0], sums[0, 1], paths[0] = 0.0, 1.0, 1.0
    count = table[:, ops[0]]
    for j in range(1, v):
        own = table[:, ops[j]]
        count += own
        for i in np.flatnonzero(edges[:j, j].any(axis=1)):  # an edge in some row
            np.minimum(least[j], least[i] + beyond[i, j], out=least[j])
            sums[j] += weight[i, j] * sums[i]
            paths[j] += weight[i, j] * paths[i]
        least[j, 0] += own
        least[j, 1] -= own
        sums[j, 0] += own * paths[j]
        sums[j, 1] *= own == 0
    some = paths[-1] > 0
    number = np.where(some, paths[-1], 1.0)
    columns = [
        count,
        np.where(some, least[-1, 0], 0.0),
        np.where(some, 0.0 - least[-1, 1], 0.0),
        sums[-1, 0] / number,
        np.where(some, 1.0 - sums[-1, 1] / number, 0.0),
        sums[-1, 1],
        graphs.adjacency.sum(axis=(1, 2))[None],
        np.log1p(paths[-1:]),
    ]
    return np.ascontiguousarray(np.concatenate(columns, dtype=np.float32).T)
