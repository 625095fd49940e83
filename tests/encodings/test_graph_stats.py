from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

import foretell as ft
from foretell.encodings.graph_stats import GraphStats

NB201 = ft.spaces.get("nb201")
NB101 = ft.spaces.get("nb101")


def vertex_paths(adjacency, at=0):
    last = len(adjacency) - 1
    if at == last:
        yield ()
        return
    for to in np.flatnonzero(adjacency[at]):
        for rest in vertex_paths(adjacency, to):
            yield rest if to == last else (to, *rest)


@pytest.mark.parametrize("space", [NB201, NB101], ids=lambda space: space.name)
def test_against_enumeration_of_all_paths(space):
    X = space.sample(150, rng=0)
    graphs = space.graphs(X)
    words = range(2, len(space.vocabulary))
    sets = [one for k in range(1, len(words) + 1) for one in combinations(words, k)]
    features = GraphStats(space).transform(X)
    for i in range(len(X)):
        ops, paths = graphs.ops[i], list(vertex_paths(graphs.adjacency[i]))
        rows = []
        for one in sets:
            inside = np.isin(ops, one)
            sums = [int(inside[list(p)].sum()) for p in paths] or [0]
            share = float(np.mean(np.array(sums) > 0))
            past = sums.count(0) if paths else 0
            rows.append([inside.sum(), min(sums), max(sums), np.mean(sums), share, past])
        expected = [
            *np.array(rows, dtype=float).T.ravel(),
            graphs.adjacency[i].sum(),
            np.log1p(len(paths)),
        ]
        assert np.allclose(features[i], expected, rtol=1e-5)


def test_large_vocabularies_have_fewer_sets():
    space = ft.Space.from_choices({"width": list(range(1, 10)), "op": ["a", "b"]}, build=print)
    q = 11
    assert GraphStats(space).transform(space.sample(2, rng=0)).shape == (2, 6 * (q + 1) + 2)
    space = ft.Space.from_choices({"width": list(range(1, 5)), "op": ["a", "b"]}, build=print)
    pairs = 6 * 5 // 2
    assert GraphStats(space).transform(space.sample(2, rng=0)).shape == (2, 6 * (6 + pairs + 1) + 2)


def test_blocks_do_not_matter():
    X = np.repeat(NB201.sample(10, rng=0), 2000, axis=0)
    features = GraphStats(NB201).transform(X)
    assert np.array_equal(features[::2000], GraphStats(NB201).transform(X[::2000]))
