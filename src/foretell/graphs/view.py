"""The graph view of a batch of architectures."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Graphs(NamedTuple):
    """The DAG view of a batch.

    Shapes: `ops` (n, v) index into `space.vocabulary`, -1 for a vertex that is not there;
    `adjacency` (n, v, v) bool, `[a, i, j]` true for an edge i -> j; vertices are in topological
    order, so every edge has i < j.
    """

    ops: NDArray[np.integer[Any]]
    adjacency: NDArray[np.bool_]


def chain(there: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Adjacency in which each vertex that is there leads to the next one that is there.

    Shapes: (n, v) to (n, v, v).

    >>> chain(np.array([[True, False, True]]))[0].nonzero()
    (array([0]), array([2]))
    """
    position = np.cumsum(there, axis=1)
    following: NDArray[np.bool_] = position[:, None, :] - position[:, :, None] == 1
    return following & there[:, :, None] & there[:, None, :]


def compact(graphs: Graphs) -> Graphs:
    """The graphs with the vertices that are there first, in their order.

    >>> ops, adjacency = np.array([[0, -1, 1]]), np.zeros((1, 3, 3), dtype=bool)
    >>> adjacency[0, 0, 2] = True
    >>> moved = compact(Graphs(ops, adjacency))
    >>> moved.ops, np.argwhere(moved.adjacency[0]).tolist()
    (array([[ 0,  1, -1]]), [[0, 1]])
    """
    order = np.argsort(graphs.ops < 0, axis=1, kind="stable")
    line = np.arange(len(order))[:, None, None]
    return Graphs(
        np.take_along_axis(graphs.ops, order, axis=1),
        graphs.adjacency[line, order[:, :, None], order[:, None, :]],
    )
