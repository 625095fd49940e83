"""Depth counts: how far from input and output each operation stands in the graph view."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foretell.encodings.base import Encoding
from foretell.spaces.base import Rows, Space

_FAR = 8  # this far and farther is one depth


class Depths(Encoding):
    """How many vertices of each operation stand how far from the input, and from the output.

        d(v) = 1 + max_{u -> v} d(u), 0 without u;    phi_ak(x) = number of v: op(v) = a, d(v) = k,

    the longest path from the input; then the same against the edges. Distances of 8 and more are
    one. Where one-hot decisions say which operation stands at which place of a row, this says at
    which place of the graph; nothing changes when vertices are renamed.

    Args:
        space: the space whose rows it sees.

    Shapes: (n, d) to (n, 2 k (q + 1)) for q operations and k = min(v - 1, 8) distances, for v
    vertices of the view: from the input, by distance, then operation, the output last; then the
    same to the output, the input last.

    References: Borgwardt & Kriegel 2005, Shortest-Path Kernels on Graphs.
    Differs: of all pairs of vertices only those with the input and the output, at the length of
    the longest path.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")  # skip, conv 1x1, conv 3x3, pool, then the output
    >>> X = [[3, 0, 3, 1, 0, 3]]  # 3x3, 3x3, 3x3 beside a skip
    >>> Depths(space).transform(X)[0].reshape(2, 7, 5)[0, :5]
    array([[1., 0., 1., 0., 0.],
           [0., 0., 1., 0., 0.],
           [0., 0., 1., 0., 0.],
           [0., 0., 0., 0., 1.],
           [0., 0., 0., 0., 0.]], dtype=float32)
    """

    pure = True

    def __init__(self, space: Space) -> None:
        self.space = space

    def encode(self, X: Rows) -> NDArray[np.float32]:
        """Counts (n, f)."""
        ops, adjacency = self.space.graphs(X)
        words = len(self.space.vocabulary)
        from_input = _depths(adjacency)
        to_output = _depths(adjacency.transpose(0, 2, 1)[:, ::-1, ::-1])[:, ::-1]
        far = min(ops.shape[1] - 1, _FAR)
        columns = [
            _counts(ops, from_input, far, [*range(2, words), 1]),
            _counts(ops, to_output, far, [*range(2, words), 0]),
        ]
        return np.concatenate(columns, axis=1)


def _depths(adjacency: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Length of the longest path to each vertex (n, v), vertices in topological order."""
    n, v = adjacency.shape[:2]
    depth = np.zeros((n, v), dtype=np.int64)
    for j in range(1, v):
        depth[:, j] = np.where(adjacency[:, :j, j], depth[:, :j] + 1, 0).max(axis=1)
    return depth


def _counts(
    ops: NDArray[np.integer], depth: NDArray[np.int64], far: int, words: list[int]
) -> NDArray[np.float32]:
    """How many vertices have each of `words` at each depth from 1 to `far`, (n, far k)."""
    place = np.full(max(words) + 2, -1)  # last: op -1, no vertex
    place[words] = np.arange(len(words))
    kind = place[ops]
    row, vertex = np.nonzero((kind >= 0) & (depth > 0))
    cell = (row * far + np.minimum(depth[row, vertex], far) - 1) * len(words) + kind[row, vertex]
    size = len(ops) * far * len(words)
    return np.bincount(cell, minlength=size).astype(np.float32).reshape(len(ops), far * len(words))
