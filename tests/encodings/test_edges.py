from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import foretell as ft
from foretell.encodings.edges import Edges


@pytest.mark.parametrize("name", ["nb101", "nb201", "mobile", "darts"])
def test_against_a_list_of_the_edges(name):
    space = ft.spaces.get(name)
    X = space.sample(20, rng=0)
    graphs, words = space.graphs(X), len(space.vocabulary)
    from_, to = np.delete(np.arange(words), 1), np.arange(1, words)
    counts = Edges(space).transform(X).reshape(len(X), words - 1, words - 1)
    for i in range(len(X)):
        ops = graphs.ops[i]
        expected = Counter(
            (ops[u], ops[v])
            for u in range(len(ops))
            for v in np.flatnonzero(graphs.adjacency[i, u])
        )
        assert all(
            counts[i, a, b] == expected[from_[a], to[b]]
            for a in range(words - 1)
            for b in range(words - 1)
        )
        assert counts[i].sum() == expected.total() == graphs.adjacency[i].sum()
