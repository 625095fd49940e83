"""TA-GATES: the equations vertex by vertex, relabelling; one step of it is GATES."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import foretell as ft
from foretell.errors import SettingError
from foretell.metrics import kendall
from foretell.predictors.ta_gates import TAGATES, TrainedGates

NB201 = ft.spaces.get("nb201")


@pytest.mark.parametrize("readout", ["mean", "output"])
def test_network_equals_the_equations_vertex_by_vertex(gates, readout):
    graphs, net = (
        gates.random_graphs(12, 6, words=5),
        gates.network(TrainedGates, steps=3, update=7),
    )
    scores = net(gates.seen(graphs, 5, readout)).detach().numpy()
    expected = [
        [gates.by_hand(net, m, graphs.ops[i], graphs.adjacency[i], readout) for i in range(12)]
        for m in range(2)
    ]
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    assert scores.std(axis=1).min() > 1e-3


def test_scores_do_not_change_when_vertices_are_renamed_or_padded(gates):
    graphs, net = (
        gates.random_graphs(20, 7, words=6),
        gates.network(TrainedGates, words=6, steps=3, update=7),
    )
    pair = graphs, gates.renamed(graphs)
    before, after = (net(gates.seen(g, 6)).detach().numpy() for g in pair)
    np.testing.assert_allclose(before, after, atol=1e-5)
    assert before.std(axis=1).min() > 1e-3


def test_one_step_of_ta_gates_is_gates(gates):
    graphs = gates.random_graphs(10, 6, words=5)
    plain, trained = gates.network(), gates.network(TrainedGates, steps=1, update=7)
    shared = {k: v for k, v in trained.state_dict().items() if k in plain.state_dict()}
    plain.load_state_dict(shared)
    view = gates.seen(graphs, 5)
    torch.testing.assert_close(trained(view), plain(view))
    trained.steps = 2
    assert (trained(view) - plain(view)).abs().max() > 1e-4


def test_beats_the_size_of_the_network(data_dir):
    table = ft.Table.open(data_dir / "nb201.csv.gz", space=NB201)
    order = np.random.default_rng(100).permutation(len(table.X))
    T, X = table.X[order[:2000]], table.X[order[2000:2078]]
    truth, y = (table.query(rows, "cifar10_test_200ep") for rows in (T, X))
    model = TAGATES(NB201, members=2, random_state=0).fit(X, y)
    size = ft.predictors.get("n-params", space=NB201).fit(X, y)
    assert kendall(truth, model.predict(T)) > kendall(truth, size.predict(T)) + 0.1


def test_an_unknown_readout_is_refused():
    with pytest.raises(SettingError, match=r"readout.*'mean' or 'output'"):
        TAGATES(NB201, readout="last").fit(NB201.sample(10, rng=0), range(10))
