"""Edge counts: how often one operation feeds another in the graph view."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foretell.encodings.base import Encoding
from foretell.spaces.base import Rows, Space


class Edges(Encoding):
    """How many edges lead from one operation to another, input and output among them.

        phi_ab(x) = number of edges u -> v with op(u) = a and op(v) = b,

    so a row of numbers says what reads the input, what is summed or concatenated at the output,
    and what follows what. Between counts of operations and Weisfeiler-Lehman labels of one round:
    those are whole neighbourhoods, and rare. Nothing changes when vertices are renamed.

    Args:
        space: the space whose rows it sees.

    Shapes: (n, d) to (n, (q + 1)^2) for q operations: from the input or an operation (rows) to the
    output or an operation (columns).

    References: Sugiyama & Borgwardt 2015, Halting in Random Walk Kernels, section 2.2 (the
    histogram of labelled edges).

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")  # skip, conv 1x1, conv 3x3, pool
    >>> Edges(space).transform([[3, 0, 3, 1, 0, 3]])[0].reshape(5, 5)  # 3x3, 3x3, 3x3; a skip
    array([[0., 1., 0., 1., 0.],
           [1., 0., 0., 0., 0.],
           [0., 0., 0., 0., 0.],
           [1., 0., 0., 2., 0.],
           [0., 0., 0., 0., 0.]], dtype=float32)
    """

    pure = True

    def __init__(self, space: Space) -> None:
        self.space = space

    def encode(self, X: Rows) -> NDArray[np.float32]:
        """Counts (n, f)."""
        graphs = self.space.graphs(X)
        words = len(self.space.vocabulary)
        row, tail, head = np.nonzero(graphs.adjacency)
        source, target = graphs.ops[row, tail].astype(np.int64), graphs.ops[row, head]
        cell = (row * words + source) * words + target
        counts = np.bincount(cell, minlength=len(X) * words * words).astype(np.float32)
        counts = counts.reshape(len(X), words, words)
        # nothing leads from the output or to the input
        counts = counts[:, np.arange(words) != 1][:, :, np.arange(words) != 0]
        return counts.reshape(len(X), (words - 1) ** 2)
