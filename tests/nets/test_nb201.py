"""The NAS-Bench-201 network against the paper's, written down once more with dead edges kept."""

from __future__ import annotations

import csv
import gzip

import numpy as np
import pytest
import torch
from torch import fx, nn
from torch.nn import functional

import foretell as ft
from foretell.nets.counts import measure
from foretell.spaces.nb201 import EDGES, NB201, OPS

DEAD = [
    [0, 0, 0, 0, 0, 0],  # nothing at all
    [3, 3, 3, 0, 0, 0],  # nothing reaches the output
    [0, 3, 3, 0, 3, 3],  # node 1 is zero, two convolutions read it
    [2, 2, 2, 1, 0, 0],  # nodes 1 and 2 lead nowhere
    [4, 0, 4, 0, 0, 4],  # one chain of pools
    [1, 1, 1, 1, 1, 1],
]


def full_cell(cell, row, x):
    """The cell of the paper: every edge computed, 'none' multiplies by zero.

    A convolution that is not in `cell` reads zeros or leads nowhere; it has fresh weights here.
    """
    nodes = [x]
    for j in range(1, 4):
        total = 0
        for (i, target), op in zip(EDGES, row, strict=True):
            if target != j:
                continue
            name, source = OPS[op], nodes[i]
            if name == "none":
                total = total + source.mul(0.0)
            elif name == "skip_connect":
                total = total + source
            elif name == "avg_pool_3x3":
                total = total + functional.avg_pool2d(source, 3, 1, 1, count_include_pad=False)
            elif f"edge_{i}_{j}" in cell.convs:
                total = total + cell.convs[f"edge_{i}_{j}"](source)
            else:
                kernel, c = int(name[-1]), x.shape[1]
                fresh = nn.Sequential(
                    nn.ReLU(), nn.Conv2d(c, c, kernel, padding=kernel // 2, bias=False)
                )
                total = total + nn.Sequential(*fresh, nn.BatchNorm2d(c))(source)
        nodes.append(total)
    return nodes[3]


def full_network(net, row, x):
    x = net.stem(x)
    for block in net.cells:
        if "convs" in block._modules:
            x = full_cell(block, row, x)
        else:
            body = block.conv_b(block.conv_a(x))
            x = block.shortcut[1](functional.avg_pool2d(x, 2)) + body
    x = torch.relu(net.head[0](x)).mean((2, 3))
    return net.head[-1](x)


@pytest.mark.parametrize("row", [*DEAD, *NB201().sample(6, rng=5).tolist()])
def test_same_function_as_the_full_network(row):
    torch.manual_seed(0)
    net = NB201(channels=4, n_cells=1).build(row, (3, 8, 8), 5)
    x = torch.randn(6, 3, 8, 8)
    net.train()
    torch.testing.assert_close(net(x), full_network(net, row, x), rtol=1e-4, atol=1e-5)
    assert torch.isfinite(net(x)).all()


@pytest.mark.parametrize("row", [*DEAD, *([op] * 6 for op in range(5))])
@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 5, 1), (3, 1, 1)])
def test_forward_and_backward_of_every_operation_and_size(row, shape):
    net = NB201(channels=3, n_cells=1).build(row, shape, 4)
    out = net(torch.randn(3, *shape))
    assert out.shape == (3, 4)
    functional.cross_entropy(out, torch.tensor([0, 1, 3])).backward()
    gradients = [p.grad for p in net.parameters() if p.grad is not None]
    assert gradients
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_only_operations_that_count_have_weights():
    space = NB201(channels=4, n_cells=1)
    for row, convolutions in zip(DEAD, [0, 0, 2, 0, 0, 0], strict=True):
        net = space.build(row, (3, 8, 8), 5)
        assert len(net.cells[0].convs) == convolutions


def test_unused_operations_cost_and_change_nothing():
    """The benchmark's own networks have them: the function is the same, all weights are there."""
    lean, full = (NB201(channels=4, n_cells=1, unused=unused) for unused in (False, True))
    x = torch.randn(6, 3, 8, 8)
    for row, convolutions in zip(DEAD, [0, 3, 4, 3, 0, 0], strict=True):
        a, b = (space.build(row, (3, 8, 8), 5).train() for space in (lean, full))
        assert len(b.cells[0].convs) == convolutions
        b.load_state_dict(a.state_dict(), strict=False)
        torch.testing.assert_close(a(x), b(x), rtol=1e-4, atol=1e-5)


def published(data_dir):
    """Rows and published counts of the cells in the table: parameters and flops, in millions."""
    with gzip.open(data_dir / "nb201_zerocost.csv.gz", "rt") as lines:
        rows = [row for row in csv.DictReader(lines) if row["cifar10_params"]]
    X = NB201().from_str([row["arch"] for row in rows])
    columns = ("cifar10_params", "cifar10_flops", "imagenet16_120_params", "imagenet16_120_flops")
    return X, *(np.array([float(row[name]) for row in rows]) for name in columns)


def test_published_counts(data_dir):
    """Six digits are published. Their flops are multiply-adds, 9 of each pixel that is averaged by
    a pooling, and 3 of each that is normalised; the part that all networks share is not ours."""
    X, params, flops, params_16, flops_16 = published(data_dir)
    assert len(X) == 9445
    full = NB201(unused=True)
    np.testing.assert_allclose(full.costs(X).params / 1e6, params, rtol=6e-6)
    small = full.with_io((3, 16, 16), 120)
    np.testing.assert_allclose(small.costs(X).params / 1e6, params_16, rtol=6e-6)
    convolutions = ((X == 2) | (X == 3)).sum(axis=1)
    pools = (X == 4).sum(axis=1)
    for space, known, pixels in ((full, flops, 32 * 32), (small, flops_16, 16 * 16)):
        values = 5 * (16 + 32 / 4 + 64 / 16) * pixels  # of one edge, over all cells
        ours = space.costs(X).flops / 2 + values * (9 * pools + 3 * convolutions)
        shared = known * 1e6 - ours
        assert np.ptp(shared) <= 1100  # what six digits of 10^8 round
        assert 0 < shared.mean() < 0.05 * ours.min()


def test_published_counts_of_the_networks_themselves():
    """0.073306 MB and 7.78 M for a cell of nothing, 153.27 M for the best cell of the paper."""
    best = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_1x1~1|"
    full = NB201(unused=True)
    X = np.concatenate([[[0] * 6], full.from_str([best + "nor_conv_3x3~2|"])])
    counted = [measure(lambda x=x: full.build(x, (3, 32, 32), 10), (3, 32, 32)) for x in X]
    assert [round(flops / 2e6, 2) for _, flops in counted] == [7.78, 153.27]
    assert [round(params / 1e6, 3) for params, _ in counted] == [0.073, 1.073]


def test_closed_form_of_all_rows_on_a_sample_of_networks():
    full = NB201(unused=True)
    X = full.sample(12, rng=3)
    counted = [measure(lambda x=x: full.build(x, (3, 16, 16), 120), (3, 16, 16)) for x in X]
    costs = full.with_io((3, 16, 16), 120).costs(X)
    np.testing.assert_array_equal(np.stack(costs, axis=1), counted)
    assert (NB201().costs(X).params <= full.with_io((3, 32, 32), 10).costs(X).params).all()


def test_traced_graph_is_the_network():
    space = NB201(channels=4, n_cells=1)
    for row in [*DEAD, *space.sample(3, rng=1)]:
        net = space.build(row, (1, 9, 7), 3).eval()
        x = torch.randn(2, 1, 9, 7)
        torch.testing.assert_close(fx.symbolic_trace(net)(x), net(x))


def test_extremes_of_the_published_parameter_counts():
    # skeleton: stem 3*16*9+2*16, reductions, last norm 2*64, linear 64*10+10
    reductions = sum(18 * c * c + 4 * c + 36 * c * c + 4 * c + 2 * c * c for c in (16, 32))
    skeleton = 464 + reductions + 128 + 650
    cells = 5 * 6 * sum(9 * c * c + 2 * c for c in (16, 32, 64))
    params = NB201().costs([[0] * 6, [3] * 6]).params
    np.testing.assert_array_equal(params, [skeleton, skeleton + cells])
    # 0.073306 MB and 1.531546 MB: the least and the most in the benchmark's own tables
    np.testing.assert_array_equal(params, [73_306, 1_531_546])


@pytest.mark.parametrize(
    ("settings", "shape", "outputs"),
    [
        ({}, (3, 32, 32), 10),
        ({"channels": 7, "n_cells": 2}, (1, 8, 8), 3),
        ({"channels": 4, "n_cells": 1}, (2, 5, 1), 1),
    ],
)
def test_closed_form_costs_are_the_measured_ones(settings, shape, outputs):
    space = ft.spaces.get("nb201", **settings).with_io(shape, outputs)
    X = np.concatenate([space.sample(2, rng=0), DEAD[:3], [[2] * 6, [3] * 6]])
    counted = [measure(lambda x=x: space.build(x, shape, outputs), shape) for x in X]
    np.testing.assert_array_equal(np.stack(space.costs(X), axis=1), counted)
