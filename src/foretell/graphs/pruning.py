"""What of a graph lies on a path from its input to its output."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foretell.graphs.view import Graphs


def reachable(adjacency: NDArray[np.bool_], start: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Vertices that the vertices of `start` reach along edges, `start` included.

    Shapes: adjacency (n, v, v), start (n, v) to (n, v). Vertices are in topological order.
    """
    reached = start.copy()
    for j in range(1, adjacency.shape[1]):
        reached[:, j] |= (reached[:, :j] & adjacency[:, :j, j]).any(axis=1)
    return reached


def prune(graphs: Graphs) -> Graphs:
    """Leave out vertices that are on no path from the first to the last vertex.

    Vertices with op -1 carry nothing. First and last vertex (input, output) always stay.
    """
    ops, adjacency = graphs
    there = ops >= 0
    adjacency = adjacency & there[:, :, None] & there[:, None, :]
    ends = np.zeros(ops.shape, dtype=bool)
    ends[:, 0] = True
    forward = reachable(adjacency, ends)
    flipped = adjacency[:, ::-1, ::-1].transpose(0, 2, 1)
    alive = forward & reachable(flipped, ends)[:, ::-1]
    adjacency = adjacency & alive[:, :, None] & alive[:, None, :]
    alive[:, 0] = alive[:, -1] = True
    return Graphs(np.where(alive, ops, -1).astype(ops.dtype), adjacency)
