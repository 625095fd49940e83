"""`listed`: a space that holds the rows of a list alone."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy.stats import chisquare

import foretell as ft
from foretell.spaces.nb201 import NB201
from foretell.spaces.parts.listed import listed

SPACE = ft.spaces.get("nb201")


def test_it_stays_in_its_list():
    X = SPACE.sample(40, rng=3)
    few = listed(SPACE, X)
    keys = SPACE.row_key(X)
    assert few.size == len(np.unique(keys))
    rows = [few.sample(50, rng=0), few.mutate(few.sample(50, rng=1), rng=2), *few.enumerate(7)]
    rows += [few.neighbors(x) for x in X]
    assert np.isin(SPACE.row_key(np.concatenate(rows)), keys).all()
    moved = few.mutate(X, rng=4)
    assert (moved != X).any(axis=1).mean() > 0.9
    assert SPACE.size == 15_625  # the space itself is as it was
    again = pickle.loads(pickle.dumps(few))
    assert np.array_equal(again.mutate(X, rng=4), moved)


@pytest.mark.parametrize("name", ["nb201", "nb101"])
def test_what_it_contains_is_what_is_in_the_list(name):
    space = ft.spaces.get(name)
    X = space.sample(300, rng=0)
    few = listed(space, X[:50])
    inside = np.isin(space.row_key(X), space.row_key(X[:50]))
    assert np.array_equal(few.contains(X), inside)
    assert inside.sum() >= 50
    assert not listed(space, X[:0]).contains(X).any()


def test_mutants_are_uniform_over_the_neighbours_in_the_list():
    parent = np.zeros((1, 6), dtype=np.int8)
    far = np.full((1, 6), 4, dtype=np.int8)  # has no neighbour there
    near = SPACE.neighbors(parent[0])[[1, 5, 6, 11, 20]]
    few = listed(SPACE, np.concatenate([parent, near, far]))
    children = few.mutate(np.repeat(np.concatenate([parent, far]), 2_000, axis=0), rng=0)
    found, counts = np.unique(children[:2_000], axis=0, return_counts=True)
    assert np.array_equal(found, np.unique(near, axis=0))
    assert chisquare(counts).pvalue > 1e-3
    assert len(np.unique(children[2_000:], axis=0)) == few.size  # any row


def test_neighbours_are_looked_for_once(monkeypatch):
    few = listed(SPACE, SPACE.sample(500, rng=0))
    parents = few.sample(20, rng=1)
    calls = []
    plain = NB201.neighbors

    def counted(self, x):
        calls.append(x)
        return plain(self, x)

    monkeypatch.setattr(NB201, "neighbors", counted)
    for seed in range(5):
        few.mutate(np.repeat(parents, 10, axis=0), rng=seed)
    first = few.neighbors(parents[0])
    assert 0 < len(calls) <= len(np.unique(parents, axis=0))
    first[:] = 0  # the caller's own
    assert few.neighbors(parents[0]).any()
