"""An order of the vertices of a graph that does not depend on how they are numbered."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foretell.graphs import hashing
from foretell.graphs.refinement import refine
from foretell.graphs.view import Graphs

_BLOCK = 4_096  # graphs at a time
_ROUNDS = 2  # of refinement after a tie is broken


def canonical(graphs: Graphs) -> Graphs:
    """The same graphs with vertices in topological order, equal for equal graphs.

    Vertices are sorted by the length of the longest path to them, then by their Weisfeiler-Lehman
    colour. Where two share a colour, one of the first such class gets a colour of its own and the
    others are refined again: in graphs as small as these, vertices of one colour are images of
    each other, so it does not matter which one. Vertices that are not there come last.

    Shapes: `ops` (n, v) and `adjacency` (n, v, v), in any order of the vertices; the same again.

    >>> ops, edge = np.array([[0, 3, 2, 1]]), np.zeros((1, 4, 4), dtype=bool)
    >>> edge[0, [0, 0, 1, 2], [1, 2, 3, 3]] = True  # two ways from input to output
    >>> swap = [0, 2, 1, 3]
    >>> same = canonical(Graphs(ops[:, swap], edge[:, swap][:, :, swap]))
    >>> bool((canonical(Graphs(ops, edge)).ops == same.ops).all())
    True
    """
    n = len(graphs.ops)
    blocks = [
        _block(graphs.ops[i : i + _BLOCK], graphs.adjacency[i : i + _BLOCK])
        for i in range(0, max(n, 1), _BLOCK)
    ]
    return Graphs(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))


def _block(ops: NDArray[np.integer], adjacency: NDArray[np.bool_]) -> Graphs:
    there = ops >= 0
    colour = np.where(there, hashing.mix(ops.astype(np.uint64) + np.uint64(2)), np.uint64(0))
    depth = np.where(there, 0, ops.shape[1])  # also the rank of those that are not there
    grown = np.arange(len(ops))  # rounds of a graph must not depend on the other graphs
    for _ in range(ops.shape[1]):
        longest = np.where(adjacency[grown], depth[grown][:, :, None] + 1, 0).max(axis=1)
        more = (longest > depth[grown]).any(axis=1)
        grown = grown[more]
        if not len(grown):
            break
        depth[grown] = np.maximum(depth[grown], longest[more])
        colour[grown] = np.where(
            there[grown], refine(colour[grown], adjacency[grown]), np.uint64(0)
        )
    order, tied = _sorted(depth, colour)
    open_ = np.flatnonzero(tied.any(axis=1))
    while len(open_):
        first = tied[open_].argmax(axis=1)
        picked = order[open_, first]
        part, edges = colour[open_], adjacency[open_]
        line = np.arange(len(open_))
        part[line, picked] = hashing.mix(part[line, picked])
        for _ in range(_ROUNDS):
            part = np.where(there[open_], refine(part, edges), np.uint64(0))
        colour[open_] = part
        order[open_], tied[open_] = _sorted(depth[open_], part)
        open_ = open_[tied[open_].any(axis=1)]
    line = np.arange(len(ops))[:, None]
    return Graphs(
        ops[line, order], adjacency[line[:, :, None], order[:, :, None], order[:, None, :]]
    )


def _sorted(
    depth: NDArray[np.integer], colour: NDArray[np.uint64]
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Vertices (n, v) by depth, then colour, and which places share both with the next one."""
    order = np.lexsort((colour, depth), axis=-1)
    depth = np.take_along_axis(depth, order, axis=1)
    colour = np.take_along_axis(colour, order, axis=1)
    tied = np.zeros(order.shape, dtype=bool)
    tied[:, :-1] = (depth[:, 1:] == depth[:, :-1]) & (colour[:, 1:] == colour[:, :-1])
    return order, tied & (colour > 0)
