"""Tracing: what is watched is what torch.export and the FLOP counter say."""

from __future__ import annotations

import copy
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import foretell as ft
from foretell import _catalog
from foretell.errors import DataError, SettingError
from foretell.graphs import trace
from foretell.graphs.computation import Computations, described
from foretell.spaces.base import Space

spec = importlib.util.spec_from_file_location("modules", Path(__file__).with_name("modules.py"))
assert spec is not None
assert spec.loader is not None
modules = importlib.util.module_from_spec(spec)
spec.loader.exec_module(modules)
NETWORKS = modules.NETWORKS


def same(a: Computations, b: Computations) -> None:
    assert described(a) == described(b)
    for field in Computations._fields:
        np.testing.assert_array_equal(getattr(a, field), getattr(b, field), err_msg=field)


def test_twenty_kinds() -> None:
    assert len(NETWORKS) >= 20


@pytest.mark.parametrize("name", NETWORKS)
def test_watched_is_exported_node_by_node(name: str) -> None:
    module, example = NETWORKS[name]
    same(trace(module, example), trace(module, example, way="export"))


@pytest.mark.parametrize("name", NETWORKS)
def test_flops_and_parameters_are_counted_ones(name: str) -> None:
    module, example = NETWORKS[name]
    graph = trace(module, example)
    bare = copy.deepcopy(module).eval().to("meta")
    inputs = example if isinstance(example, tuple) else (example,)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        bare(*(x.to("meta") for x in inputs))
    assert graph.flops.sum() == counter.get_total_flops()
    assert graph.params.sum() == sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("row", _catalog.KINDS["space"], ids=lambda row: row.name)
def test_drawn_is_traced(row: _catalog.Row) -> None:
    space = ft.spaces.get(row.name, **row.quick)
    for x in space.sample(3, rng=1):
        same(space.draw(x), Space.draw(space, x))


@pytest.mark.parametrize("row", _catalog.KINDS["space"], ids=lambda row: row.name)
def test_totals_are_the_costs_of_the_space(row: _catalog.Row) -> None:
    space = ft.spaces.get(row.name, **row.quick)
    X = space.sample(3, rng=2)
    graphs, costs = space.computations(X), space.costs(X)
    np.testing.assert_array_equal(graphs.total(graphs.flops), costs.flops)
    np.testing.assert_array_equal(graphs.total(graphs.params), costs.params)


@pytest.mark.parametrize("name", ["nb201", "nb101", "nb301", "mobile"])
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 9, 7)])
def test_drawn_is_traced_in_full_size_and_odd_sizes(name: str, shape: tuple[int, ...]) -> None:
    space = ft.spaces.get(name).with_io(shape, 5)
    x = space.sample(1, rng=4)[0]
    same(space.draw(x), Space.draw(space, x))


def test_edges_of_a_residual_block() -> None:
    graph = trace(*NETWORKS["residual"])
    assert described(graph)[8:10] == [
        "8 add 8x4x4 to 8x4x4, from 5, 7",
        "9 relu 8x4x4 to 8x4x4, from 8",
    ]
    assert described(graph)[15] == "15 add 8x4x4 to 8x4x4, from 14, 9"


def test_every_edge_leads_on_and_every_vertex_has_a_source() -> None:
    for module, example in NETWORKS.values():
        graph = trace(module, example)
        assert (graph.edges[:, 0] < graph.edges[:, 1]).all()
        assert (np.diff(graph.edges[:, 1]) >= 0).all()
        assert set(graph.edges[:, 1]) == set(np.flatnonzero(graph.ops != 1))


def test_the_module_is_as_it_was() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
    module[1].eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    state = torch.get_rng_state()
    trace(module, torch.ones(2, 3, 8, 8))
    assert (module.training, module[1].training) == (True, False)
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])


class Asks(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


class Item(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * x.mean().item()


class Breaks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.map(x) @ torch.zeros(7, 2)


class Constant(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ones(3)


@pytest.mark.parametrize(
    ("module", "culprit"),
    [(Asks(), "__bool__"), (Item(), "item"), (Breaks(), "matmul"), (Constant(), "forward")],
)
def test_what_cannot_be_traced_is_named_in_one_line(module: nn.Module, culprit: str) -> None:
    with pytest.raises(DataError, match=f"cannot be traced: at operation '{culprit}'") as caught:
        trace(module, torch.zeros(1, 4))
    assert "\n" not in str(caught.value)


def test_an_unknown_way_is_refused() -> None:
    with pytest.raises(SettingError, match="'watch' or 'export'"):
        trace(nn.Identity(), torch.zeros(1, 4), way="fx")


def test_unknown_operations_have_a_word() -> None:
    class Odd(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.fft.fft(x).abs()

    assert trace(Odd(), torch.zeros(1, 8)).ops.tolist() == [1, 0, 0, 2]


@pytest.mark.parametrize(
    ("layers", "culprit"),
    [
        ([nn.Conv2d(3, 4, 3)], "conv2d"),
        ([nn.Conv2d(2, 4, 3), nn.BatchNorm2d(5)], "batch_norm"),
        ([nn.Flatten(), nn.Linear(7, 3)], "linear"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(layers: list[nn.Module], culprit: str) -> None:
    with pytest.raises(DataError, match=f"at operation '{culprit}'"):
        trace(nn.Sequential(*layers), torch.zeros(1, 2, 6, 6))
