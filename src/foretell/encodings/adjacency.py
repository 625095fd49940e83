"""Adjacency encodings: the edges of the graph view, and the operation of each vertex."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foretell.encodings.base import Encoding
from foretell.spaces.base import Rows, Space


class AdjacencyOneHot(Encoding):
    """Bits of the upper triangle of the adjacency, row by row, then one-hot operations.

    Every vertex between input and output has one bit for each operation, all zero where the
    vertex is not there. The encoding depends on the order of the vertices in `space.graphs`.

    Args:
        space: the space whose rows it sees.

    Shapes: (n, d) to (n, v (v - 1) / 2 + (v - 2) q) for v vertices and q operations.

    References: White et al. 2020, A Study on Encodings for NAS, section 3.1.
    Differs: where the paper leaves implied edges out (NAS-Bench-201), they are written here.

    >>> import foretell as ft
    >>> AdjacencyOneHot(ft.spaces.get("nb201")).transform([[0, 1, 2, 3, 4, 0]]).shape
    (1, 52)
    """

    def __init__(self, space: Space) -> None:
        self.space = space

    def encode(self, X: Rows) -> NDArray[np.float32]:
        """Bits (n, f)."""
        edges, ops = _parts(self.space, X)
        q = len(self.space.vocabulary) - 2
        bits = (ops[:, :, None] == np.arange(1, q + 1)).reshape(len(X), ops.shape[1] * q)
        return np.concatenate([edges, bits], axis=1, dtype=np.float32)


class AdjacencyCategorical(Encoding):
    """Bits of the upper triangle of the adjacency, row by row, then one number an operation.

    The number is 1 to q in the order of `space.vocabulary`, 0 where the vertex is not there.

    Args:
        space: the space whose rows it sees.

    Shapes: (n, d) to (n, v (v - 1) / 2 + v - 2).

    References: White et al. 2020, A Study on Encodings for NAS, section 3.1.

    >>> import foretell as ft
    >>> AdjacencyCategorical(ft.spaces.get("nb201")).transform([[1, 1, 2, 3, 1, 4]])[0, -6:]
    array([1., 1., 2., 3., 1., 4.], dtype=float32)
    """

    def __init__(self, space: Space) -> None:
        self.space = space

    def encode(self, X: Rows) -> NDArray[np.float32]:
        """Bits and numbers (n, f)."""
        return np.concatenate(_parts(self.space, X), axis=1, dtype=np.float32)


def _parts(space: Space, X: Rows) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Upper triangle (n, v (v - 1) / 2) and operations (n, v - 2): 1 to q, 0 for none."""
    graphs = space.graphs(X)
    first, second = np.triu_indices(graphs.ops.shape[1], 1)
    inner = graphs.ops[:, 1:-1].astype(np.int64)
    return graphs.adjacency[:, first, second], np.maximum(inner - 1, 0)
