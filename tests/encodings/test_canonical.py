from __future__ import annotations

import numpy as np
import pytest

import foretell as ft
from foretell.encodings.canonical import Canonical
from foretell.errors import SettingError

NB201 = ft.spaces.get("nb201")
NB101 = ft.spaces.get("nb101")


@pytest.mark.parametrize("space", [NB201, NB101], ids=lambda space: space.name)
def test_partition_is_that_of_textbook_refinement(space):
    """Rows share features exactly when colour refinement on sorted tuples gives equal bags."""
    X = space.sample(250, rng=0)
    ops, adjacency = space.graphs(X)

    def bags(i):
        there = np.flatnonzero(ops[i] >= 0)
        labels = {v: (int(ops[i, v]),) for v in there}
        out = [sorted(labels.values())]
        for _ in range(2):
            labels = {
                v: (
                    labels[v],
                    tuple(sorted(labels[u] for u in there if adjacency[i, u, v])),
                    tuple(sorted(labels[w] for w in there if adjacency[i, v, w])),
                )
                for v in there
            }
            out.append(sorted(map(repr, labels.values())))
        return repr(out)

    textbook = np.unique([bags(i) for i in range(len(X))], return_inverse=True)[1]
    features = Canonical(space, buckets=65_536).transform(X)
    ours = np.unique(features, axis=0, return_inverse=True)[1].ravel()
    pairs = np.unique(np.stack([textbook, ours], axis=1), axis=0)
    assert len(pairs) == len(np.unique(textbook)) == len(np.unique(ours))


def test_mass_of_each_iteration_is_the_number_of_vertices():
    X = NB101.sample(100, rng=0)
    features = Canonical(NB101, iterations=3, buckets=64).transform(X)
    vertices = (NB101.graphs(X).ops >= 0).sum(axis=1)
    words = len(NB101.vocabulary)
    assert np.array_equal(features[:, :words].sum(axis=1), vertices)
    per_step = features[:, words:].reshape(len(X), 3, 64).sum(axis=2)
    assert (per_step == vertices[:, None]).all()


def test_tells_direction():
    """conv then pool is not pool then conv."""
    a, b = Canonical(NB201).transform([[3, 0, 0, 0, 4, 0], [4, 0, 0, 0, 3, 0]])
    assert not np.array_equal(a, b)


def test_bad_setting():
    with pytest.raises(SettingError):
        Canonical(NB201, iterations=-1).transform(NB201.sample(1, rng=0))
