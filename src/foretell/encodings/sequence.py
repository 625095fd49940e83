"""The architecture as a sequence of tokens: the edges into each vertex, then its operation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foretell.encodings.base import Encoding
from foretell.graphs.view import Graphs, compact
from foretell.spaces.base import Rows, Space

PAD, NO_EDGE, EDGE, FIRST_WORD = 0, 1, 2, 3  # tokens; from FIRST_WORD on: vocabulary[1:]


class Sequence(Encoding):
    """Tokens of NAO: for each vertex after the input, the edges that lead to it, and its operation.

        s = (e_01, o_1,  e_02, e_12, o_2,  ...,  e_0j, ..., e_(j-1)j, o_j,  ...)

    with e_ij = 2 for an edge i -> j, 1 for none, and o_j = 2 + the word of vertex j in
    `space.vocabulary` (so the output is 3). Vertices that are there come first, in topological
    order; behind them all tokens are 0. The encoding depends on the order of the vertices.

    Args:
        space: the space whose rows it sees.

    Shapes: (n, d) to (n, (v + 2) (v - 1) / 2) for v vertices; tokens are 0 to w + 1 for w words.

    References: Luo et al. 2018, Neural Architecture Optimization, section 3.1; Luo et al. 2020,
    Semi-Supervised Neural Architecture Search.

    >>> import foretell as ft
    >>> encoding = Sequence(ft.spaces.get("nb201"))
    >>> encoding.transform([[3, 0, 0, 0, 4, 0]])[0, :10]  # conv 3x3 (6), pool (7), output (3)
    array([2., 6., 1., 2., 7., 1., 1., 2., 3., 0.], dtype=float32)
    """

    def __init__(self, space: Space) -> None:
        self.space = space

    def encode(self, X: Rows) -> NDArray[np.float32]:
        """Tokens (n, f), whole numbers."""
        steps = tokens(self.space.graphs(X))
        return steps[:, used(steps.shape[2])].astype(np.float32)


def tokens(graphs: Graphs) -> NDArray[np.int64]:
    """Tokens by vertex, (n, v - 1, v): at [a, j - 1] the edges from vertices 0 to v - 2, then o_j.

    Edges that no order allows (i >= j) are `PAD`.
    """
    ops, adjacency = compact(graphs)
    there = (ops >= 0)[:, 1:, None]
    into = np.where(adjacency[:, :-1, 1:].transpose(0, 2, 1), EDGE, NO_EDGE)
    into = np.where(there & used(ops.shape[1])[:, :-1], into, PAD)
    words = np.where(there, ops[:, 1:, None].astype(np.int64) + FIRST_WORD - 1, PAD)
    return np.concatenate([into, words], axis=2, dtype=np.int64)


def used(v: int) -> NDArray[np.bool_]:
    """Which tokens by vertex, (v - 1, v), there are in a graph of v vertices."""
    mask = np.tri(v - 1, v, dtype=bool)
    mask[:, -1] = True
    return mask
