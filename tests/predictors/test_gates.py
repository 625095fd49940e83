"""GATES: the equations vertex by vertex, relabelling, what a gate needs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import foretell as ft
from foretell.errors import SettingError
from foretell.predictors.gates import GATES
from foretell.spaces.base import Graphs

NB201 = ft.spaces.get("nb201")


@pytest.mark.parametrize("readout", ["mean", "output"])
def test_network_equals_the_equations_vertex_by_vertex(gates, readout):
    gates.check_equations(gates.network(), readout)


def test_scores_do_not_change_when_vertices_are_renamed_or_padded(gates):
    gates.check_names(gates.network(words=6))


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


def test_beats_the_size_of_the_network(beats_size):
    beats_size(GATES(NB201, members=2, random_state=0), 0.1)


def test_an_unknown_readout_is_refused():
    with pytest.raises(SettingError, match=r"readout: expected one of mean, output"):
        GATES(NB201, readout="last").fit(NB201.sample(10, rng=0), range(10))
