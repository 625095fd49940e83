"""Whole-array operations on the graph view, shared by spaces and encodings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foretell.spaces import _hash
from foretell.spaces.base import Graphs

_BLOCK = 4_096  # rows whose intermediate arrays are kept at once
_OWN, _SOURCE, _TARGET = _hash.mix(np.arange(201, 204, dtype=np.uint64)) | np.uint64(1)


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


def class_key(graphs: Graphs) -> NDArray[np.uint64]:
    """A 64-bit key, equal for graphs that are equal up to the order of their vertices, (n,).

    Colour refinement (Weisfeiler & Leman): a vertex starts with its operation, and once for every
    second vertex becomes h_v = mix(a h_v + b sum_{u -> v} h_u + c sum_{v -> w} h_w) modulo 2^64;
    the key is mix(sum_v h_v).
    """
    n = len(graphs.ops)
    parts = [
        _refined(Graphs(graphs.ops[i : i + _BLOCK], graphs.adjacency[i : i + _BLOCK]))
        for i in range(0, n, _BLOCK)
    ]
    return np.concatenate([np.zeros(0, dtype=np.uint64), *parts])


def _refined(graphs: Graphs) -> NDArray[np.uint64]:
    some = (graphs.ops >= 0).any(axis=0)
    ops, adjacency = graphs.ops[:, some], graphs.adjacency[:, some][:, :, some]
    there = (ops >= 0).astype(np.uint64)
    after = adjacency.astype(np.uint64)
    before = np.ascontiguousarray(after.transpose(0, 2, 1))
    h = _hash.mix(ops.astype(np.uint64) + np.uint64(2)) * there
    for _ in range(-(-graphs.ops.shape[1] // 2)):
        near = (
            _SOURCE * (before @ h[:, :, None])[..., 0] + _TARGET * (after @ h[:, :, None])[..., 0]
        )
        h = _hash.mix(_OWN * h + near) * there
    return _hash.mix(h.sum(axis=1))
