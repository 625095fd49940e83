"""Order of vertices: equal graphs come out equal, however they are numbered."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import foretell as ft
from foretell.graphs.order import canonical
from foretell.spaces.base import Graphs


def renumbered(graphs, seed=0):
    """The same graphs, the vertices of each in a random order."""
    rng = np.random.default_rng(seed)
    order = np.argsort(rng.random(graphs.ops.shape), axis=1)
    line = np.arange(len(order))[:, None]
    return Graphs(
        graphs.ops[line, order],
        graphs.adjacency[line[:, :, None], order[:, :, None], order[:, None, :]],
    )


@pytest.mark.parametrize("name", ["nb101", "nb201", "mobile"])
def test_renumbered_graphs_come_out_equal(name):
    space = ft.spaces.get(name)
    graphs = space.graphs(space.sample(400, rng=0))
    one, other = canonical(graphs), canonical(renumbered(graphs))
    np.testing.assert_array_equal(one.ops, other.ops)
    np.testing.assert_array_equal(one.adjacency, other.adjacency)
    assert not np.tril(one.adjacency.any(axis=0)).any()  # topological
    there = one.ops >= 0
    assert (np.sort(~there, axis=1) == ~there).all()  # vertices that are not there are last
    assert (one.adjacency.sum(axis=(1, 2)) == graphs.adjacency.sum(axis=(1, 2))).all()


def test_equal_exactly_for_isomorphic_graphs():
    """All graphs of four equal vertices between input and output, against all renumberings."""
    pairs = list(itertools.combinations(range(6), 2))
    inner = [k for k, (i, j) in enumerate(pairs) if i > 0 and j < 5]
    rows = np.array(list(itertools.product([0, 1], repeat=len(inner))))
    adjacency = np.zeros((len(rows), 6, 6), dtype=bool)
    for column, k in enumerate(inner):
        adjacency[:, pairs[k][0], pairs[k][1]] = rows[:, column]
    adjacency[:, 0, 1:5] = adjacency[:, 1:5, 5] = True
    ops = np.tile([0, 2, 2, 2, 2, 1], (len(rows), 1))
    keys = [one.tobytes() for one in canonical(Graphs(ops, adjacency)).adjacency]
    smallest = [
        min(
            one[np.ix_(order, order)].tobytes()
            for order in ([0, *p, 5] for p in itertools.permutations(range(1, 5)))
        )
        for one in adjacency
    ]
    assert len(set(smallest)) == 31  # directed acyclic graphs of four vertices, OEIS A003087
    assert len(set(keys)) == len(set(zip(keys, smallest, strict=True))) == 31


def test_two_equal_chains_are_told_apart_consistently():
    # input -> a -> b -> output twice, in each of the 24 numberings of the inner vertices
    adjacency = np.zeros((6, 6), dtype=bool)
    for i, j in [(0, 1), (1, 2), (2, 5), (0, 3), (3, 4), (4, 5)]:
        adjacency[i, j] = True
    ops = np.array([0, 2, 3, 2, 3, 1])
    orders = np.array([[0, *p, 5] for p in itertools.permutations(range(1, 5))])
    graphs = canonical(
        Graphs(ops[orders], np.stack([adjacency[np.ix_(order, order)] for order in orders]))
    )
    assert (graphs.ops == graphs.ops[0]).all()
    assert (graphs.adjacency == graphs.adjacency[0]).all()


def test_order_does_not_depend_on_the_other_graphs():
    space = ft.spaces.get("nb201")
    graphs = space.graphs(space.sample(50, rng=1))
    together = canonical(graphs)
    for i in range(50):
        alone = canonical(Graphs(*(part[i : i + 1] for part in graphs)))
        np.testing.assert_array_equal(alone.ops[0], together.ops[i])
        np.testing.assert_array_equal(alone.adjacency[0], together.adjacency[i])


def test_no_graphs():
    empty = Graphs(np.zeros((0, 4), dtype=np.int8), np.zeros((0, 4, 4), dtype=bool))
    assert canonical(empty).ops.shape == (0, 4)
