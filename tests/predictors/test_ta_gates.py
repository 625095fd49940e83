"""TA-GATES: the equations vertex by vertex, relabelling; one step of it is GATES."""

from __future__ import annotations

import pytest
import torch

import foretell as ft
from foretell.errors import SettingError
from foretell.predictors.ta_gates import TAGATES, TrainedGates

NB201 = ft.spaces.get("nb201")


@pytest.mark.parametrize("readout", ["mean", "output"])
def test_network_equals_the_equations_vertex_by_vertex(gates, readout):
    gates.check_equations(gates.network(TrainedGates, steps=3, update=7), readout)


def test_scores_do_not_change_when_vertices_are_renamed_or_padded(gates):
    gates.check_names(gates.network(TrainedGates, words=6, steps=3, update=7))


def test_one_step_of_ta_gates_is_gates(gates):
    graphs = gates.random_graphs(10, 6, words=5)
    plain, trained = gates.network(), gates.network(TrainedGates, steps=1, update=7)
    shared = {k: v for k, v in trained.state_dict().items() if k in plain.state_dict()}
    plain.load_state_dict(shared)
    view = gates.seen(graphs, 5)
    torch.testing.assert_close(trained(view), plain(view))
    trained.steps = 2
    assert (trained(view) - plain(view)).abs().max() > 1e-4


def test_beats_the_size_of_the_network(beats_size):
    beats_size(TAGATES(NB201, members=2, random_state=0), 0.1)


def test_an_unknown_readout_is_refused():
    with pytest.raises(SettingError, match=r"readout: expected one of mean, output"):
        TAGATES(NB201, readout="last").fit(NB201.sample(10, rng=0), range(10))
