from __future__ import annotations

import numpy as np

import foretell as ft
from foretell.encodings.adjacency import AdjacencyCategorical, AdjacencyOneHot

NB101 = ft.spaces.get("nb101")


def test_lengths_of_the_literature():
    """NB101: 21 edges and 5 x 3 operation bits, or 5 operation numbers (White et al. 2020)."""
    X = NB101.sample(2, rng=0)
    assert AdjacencyOneHot(NB101).transform(X).shape == (2, 21 + 15)
    assert AdjacencyCategorical(NB101).transform(X).shape == (2, 21 + 5)


def test_decodes_to_the_graph():
    """The graph view can be read back from both encodings."""
    X = NB101.sample(300, rng=0)
    ops, adjacency = NB101.graphs(X)
    bits, numbers = (one(NB101).transform(X) for one in (AdjacencyOneHot, AdjacencyCategorical))
    for features in (bits, numbers):
        back = np.zeros_like(adjacency)
        back[:, *np.triu_indices(7, 1)] = features[:, :21] > 0
        assert np.array_equal(back, adjacency)
    one_hot = bits[:, 21:].reshape(-1, 5, 3)
    assert np.array_equal(np.where(one_hot.any(2), one_hot.argmax(2) + 2, -1), ops[:, 1:-1])
    assert np.array_equal(np.where(numbers[:, 21:] > 0, numbers[:, 21:] + 1, -1), ops[:, 1:-1])
