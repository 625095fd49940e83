"""Graph tensors: what graph networks read, one-hot vertices and the adjacency, as one row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foretell.encodings.base import Encoding
from foretell.graphs.view import compact
from foretell.spaces.base import Rows, Space


class GraphTensors(Encoding):
    """One-hot operations of all vertices and the upper triangle of the adjacency, side by side.

    Vertices that are there come first, in the order of `space.graphs`, input and output among
    them; the places behind them are zero. So a graph with a dead vertex is encoded as the graph
    without it. `adjacency-one-hot` leaves dead vertices in their places instead, and input and
    output out. The encoding depends on the order of the vertices.

    Args:
        space: the space whose rows it sees.

    Shapes: (n, d) to (n, v w + v (v - 1) / 2) for v vertices and w words of the vocabulary;
    `tensors` gives the two parts as (n, v, w) and (n, v, v).

    References: Wen et al. 2020, Neural Predictor for Neural Architecture Search, section 3.2.

    >>> import foretell as ft
    >>> tensors = GraphTensors(ft.spaces.get("nb201"))
    >>> hot, adjacency = tensors.tensors(np.array([[3, 0, 0, 0, 4, 0]]))  # conv 3x3, then pool
    >>> hot[0, :5].argmax(axis=1), hot[0].sum(axis=1)  # input, conv, pool, output
    (array([0, 4, 5, 1, 0]), array([1., 1., 1., 1., 0., 0., 0., 0.], dtype=float32))
    >>> np.argwhere(adjacency[0]).tolist()
    [[0, 1], [1, 2], [2, 3]]
    """

    def __init__(self, space: Space) -> None:
        self.space = space

    def encode(self, X: Rows) -> NDArray[np.float32]:
        """Zeros and ones (n, f)."""
        hot, adjacency = self.tensors(X)
        first, second = np.triu_indices(adjacency.shape[1], 1)
        flat = hot.reshape(len(X), hot.shape[1] * hot.shape[2])
        return np.concatenate([flat, adjacency[:, first, second]], axis=1)

    def tensors(self, X: Rows) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """One-hot vertices (n, v, w) and adjacency (n, v, v) of checked rows (n, d)."""
        ops, adjacency = compact(self.space.graphs(X))
        hot = ops[:, :, None] == np.arange(len(self.space.vocabulary))
        return hot.astype(np.float32), adjacency.astype(np.float32)
