"""GATES: the equations vertex by vertex, relabelling, what a gate needs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import foretell as ft
from foretell.errors import SettingError
from foretell.metrics import kendall
from foretell.predictors.gates import GATES
from foretell.spaces.base import Graphs

NB201 = ft.spaces.get("nb201")


@pytest.mark.parametrize("readout", ["mean", "output"])
def test_network_equals_the_equations_vertex_by_vertex(gates, readout):
    graphs, net = gates.random_graphs(12, 6, words=5), gates.network()
    scores = net(gates.seen(graphs, 5, readout)).detach().numpy()
    expected = [
        [gates.by_hand(net, m, graphs.ops[i], graphs.adjacency[i], readout) for i in range(12)]
        for m in range(2)
    ]
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    assert scores.std(axis=1).min() > 1e-3


def test_scores_do_not_change_when_vertices_are_renamed_or_padded(gates):
    graphs, net = gates.random_graphs(20, 7, words=6), gates.network(words=6)
    pair = graphs, gates.renamed(graphs)
    before, after = (net(gates.seen(g, 6)).detach().numpy() for g in pair)
    np.testing.assert_allclose(before, after, atol=1e-5)
    assert before.std(axis=1).min() > 1e-3


def test_a_gate_needs_what_flows_in(gates):
    """Without edges into a vertex its operation cannot matter; with one it does."""
    net, view = gates.network(), {}
    for op in (2, 3):
        for edge in (False, True):
            adjacency = np.zeros((1, 3, 3), dtype=bool)
            adjacency[0, 0, 1] = edge
            view[op, edge] = net(gates.seen(Graphs(np.array([[0, op, 1]]), adjacency), 5))
    assert torch.equal(view[2, False], view[3, False])
    assert (view[2, True] - view[3, True]).abs().min() > 1e-4


def test_beats_the_size_of_the_network(data_dir):
    table = ft.Table.open(data_dir / "nb201.csv.gz", space=NB201)
    order = np.random.default_rng(100).permutation(len(table.X))
    T, X = table.X[order[:2000]], table.X[order[2000:2078]]
    truth, y = (table.query(rows, "cifar10_test_200ep") for rows in (T, X))
    model = GATES(NB201, members=2, random_state=0).fit(X, y)
    size = ft.predictors.get("n-params", space=NB201).fit(X, y)
    assert kendall(truth, model.predict(T)) > kendall(truth, size.predict(T)) + 0.1


def test_an_unknown_readout_is_refused():
    with pytest.raises(SettingError, match=r"readout.*'mean' or 'output'"):
        GATES(NB201, readout="last").fit(NB201.sample(10, rng=0), range(10))
