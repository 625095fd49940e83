from __future__ import annotations

import numpy as np
import pytest

import foretell as ft
from foretell.encodings.depths import Depths


def longest(adjacency, start):
    """Length of the longest path from `start` to each vertex, by trying all paths."""
    depth, open_ = np.zeros(len(adjacency), dtype=int), [(start, 0)]
    while open_:
        at, steps = open_.pop()
        depth[at] = max(depth[at], steps)
        open_ += [(to, steps + 1) for to in np.flatnonzero(adjacency[at])]
    return depth


@pytest.mark.parametrize("name", ["nb101", "nb201", "mobile", "nb-graph"])
def test_against_all_paths(name):
    space = ft.spaces.get(name)
    X = space.sample(20, rng=0)
    ops, adjacency = space.graphs(X)
    words, far = len(space.vocabulary), min(ops.shape[1] - 1, 8)
    counts = Depths(space).transform(X).reshape(len(X), 2, far, words - 1)
    for i in range(len(X)):
        first, last = int((ops[i] == 0).argmax()), int((ops[i] == 1).argmax())
        for way, depth, end in (
            (0, longest(adjacency[i], first), 1),
            (1, longest(adjacency[i].T, last), 0),
        ):
            for distance in range(1, far + 1):
                here = (depth == distance) | ((depth > far) & (distance == far))
                expected = [(here & (ops[i] == word)).sum() for word in [*range(2, words), end]]
                assert counts[i, way, distance - 1].tolist() == expected
