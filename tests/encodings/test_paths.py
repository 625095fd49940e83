from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import foretell as ft
from foretell.encodings.paths import Paths, n_sequences
from foretell.errors import SettingError

NB201 = ft.spaces.get("nb201")
NB101 = ft.spaces.get("nb101")


def walk(ops, adjacency, at=0, words=()):
    """All operation sequences from input to output, by plain recursion."""
    last = len(ops) - 1
    if at == last:
        yield words
        return
    for to in np.flatnonzero(adjacency[at]):
        yield from walk(ops, adjacency, to, words if to == last else (*words, int(ops[to]) - 2))


def index(words, q):
    return sum(q**i * (word + 1) for i, word in enumerate(words))


@pytest.mark.parametrize("space", [NB201, NB101], ids=lambda space: space.name)
def test_against_recursion(space):
    X = space.sample(200, rng=0)
    graphs = space.graphs(X)
    q = len(space.vocabulary) - 2
    bits, counts = Paths(space).transform(X), Paths(space, counts=True).transform(X)
    for i in range(len(X)):
        expected = Counter(index(w, q) for w in walk(graphs.ops[i], graphs.adjacency[i]))
        found = {int(j): int(counts[i, j]) for j in np.flatnonzero(counts[i])}
        assert found == expected
        assert np.array_equal(bits[i] > 0, counts[i] > 0)


def test_lengths_of_the_literature():
    """NB101: sum of 3^i, i up to 5, is 364 (White et al. 2020). NB201 without 'none': 4^i to 3."""
    assert Paths(NB101).transform(NB101.sample(2, rng=0)).shape == (2, 364)
    assert Paths(NB201).transform(NB201.sample(2, rng=0)).shape == (2, 1 + 4 + 16 + 64)


def test_nb201_paths_of_the_blueprints():
    """A cell has four paths: 0->3, 0->1->3, 0->2->3, 0->1->2->3; one with a 'none' carries nothing.

    Columns of X are the edges 0->1, 0->2, 1->2, 0->3, 1->3, 2->3.
    """
    X = NB201.sample(300, rng=1)
    expected = np.zeros((len(X), 85), dtype=np.float32)
    for edges in ([3], [0, 4], [1, 5], [0, 2, 5]):
        for i, x in enumerate(X[:, edges].astype(int)):
            if (x > 0).all():
                expected[i, index(x - 1, 4)] = 1
    assert np.array_equal(Paths(NB201).transform(X), expected)


def test_truncated_is_the_start_of_the_whole():
    X = NB101.sample(100, rng=0)
    whole = Paths(NB101, counts=True).transform(X)
    for k in (1, 40, 364, 10_000):
        assert np.array_equal(Paths(NB101, k, counts=True).transform(X), whole[:, :k])


def relabelled(space, order):
    """The same space with its graph view's vertices in another topological order."""

    class Shuffled(type(space)):
        def graphs(self, X):
            ops, adjacency = super().graphs(X)
            return ft.spaces.base.Graphs(ops[:, order], adjacency[:, order][:, :, order])

    return Shuffled()


@pytest.mark.parametrize("name", ["path", "canonical", "graph-stats", "edges", "depths"])
def test_invariant_under_relabelling(name):
    """The 8 vertices of the NB201 view in another order of the same partial order."""
    order = np.array([0, 4, 1, 2, 5, 3, 6, 7])
    adjacency = NB201.graphs(np.full((1, 6), 3))[1][0]
    assert not np.tril(adjacency[order][:, order]).any()  # still topological
    X = NB201.sample(300, rng=0)
    same = ft.encodings.get(name, relabelled(NB201, order)).transform(X)
    assert np.allclose(ft.encodings.get(name, NB201).transform(X), same, rtol=1e-6)
    # and it can tell: an encoding of the vertices as they stand does change
    bits = ft.encodings.get("adjacency-one-hot", relabelled(NB201, order)).transform(X)
    assert not np.array_equal(ft.encodings.get("adjacency-one-hot", NB201).transform(X), bits)


@pytest.mark.parametrize("counts", [False, True])
def test_isomorphic_rows_of_nb201(counts):
    """Nodes 1 and 2 without an edge between them may be swapped."""
    X = NB201.sample(500, rng=0)
    X[:, 2] = 0
    swapped = X[:, [1, 0, 2, 3, 5, 4]]
    encoding = Paths(NB201, counts=counts)
    assert np.array_equal(encoding.transform(X), encoding.transform(swapped))


def test_long_chains_are_hashed_and_told_apart():
    space = ft.Space.from_choices(
        {f"op_{i}": ["conv", "pool", "skip", "dw"] for i in range(20)}, build=print
    )
    assert n_sequences(space) > 10**9
    X = space.sample(200, rng=0)
    features = Paths(space).transform(X)
    assert features.shape == (200, 4096)
    assert (features.sum(axis=1) == 1).all()
    assert len(np.unique(features, axis=0)) > 190


def test_many_paths_stay_bounded():
    """A complete DAG of 22 vertices has 2^20 paths; counts add up exactly."""

    class Dense(ft.Space):
        op = ft.choice(["a", "b"], repeat=20)

        def graphs(self, X):
            ops, _ = super().graphs(X)
            adjacency = np.triu(np.ones((22, 22), dtype=bool), 1)
            return ft.spaces.base.Graphs(ops, np.repeat(adjacency[None], len(X), axis=0))

    space = Dense()
    features = Paths(space, counts=True).transform(space.sample(3, rng=0))
    assert (features.sum(axis=1) == 2**20).all()


def test_bad_setting():
    with pytest.raises(SettingError, match="max_paths"):
        Paths(NB201, max_paths=0).transform(NB201.sample(1, rng=0))


@given(st.lists(st.integers(0, 4), min_size=6, max_size=6))
@settings(max_examples=50, deadline=None)
def test_no_path_iff_the_cell_is_broken(row):
    broken = not any(all(row[e] for e in path) for path in ([3], [1, 5], [0, 4], [0, 2, 5]))
    assert (Paths(NB201).transform([row]).sum() == 0) == broken
