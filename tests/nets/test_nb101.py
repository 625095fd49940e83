"""The NAS-Bench-101 network against a line-by-line reading of the paper's construction."""

from __future__ import annotations

import csv
import gzip

import numpy as np
import pytest
import torch
from torch import fx
from torch.nn import functional

from foretell.nets.counts import measure
from foretell.spaces.nb101 import NB101, vertex_channels

SMALL = NB101(channels=8, n_stacks=2, n_cells=1)
SPECIAL = [
    "01/00:",
    "011/001/000:maxpool3x3",
    "0111/0001/0001/0000:conv3x3,conv1x1",
    "011111/000001/000001/000001/000001/000000:" + ",".join(["conv3x3"] * 4),
    # three ways into the output, so widths differ by one; vertex 1 is cut on its way to 2
    "01000/00110/00001/00001/00000:conv1x1,conv3x3,maxpool3x3",
    "010000/001110/000001/000001/000001/000000:conv3x3,maxpool3x3,conv1x1,conv3x3",
]


def paper_channels(matrix, c_in, c_out):
    """`compute_vertex_channels` of the paper, one graph, one vertex at a time."""
    v = len(matrix)
    channels = [0] * v
    channels[0], channels[-1] = c_in, c_out
    if v == 2:
        return channels
    in_degree = sum(matrix[i][v - 1] for i in range(1, v))
    share, left = divmod(c_out, in_degree)
    for i in range(1, v - 1):
        if matrix[i][v - 1]:
            channels[i] = share + (left > 0)
            left -= left > 0
    for i in range(v - 3, 0, -1):
        if not matrix[i][v - 1]:
            channels[i] = max(channels[j] for j in range(i + 1, v - 1) if matrix[i][j])
    return channels


def pruned_matrix(space, row):
    text, _, words = space.to_str([row])[0].partition(":")
    return [[int(bit) for bit in line] for line in text.split("/")], words.split(",")


@pytest.mark.parametrize("channels", [5, 7, 128])
def test_vertex_channels(channels):
    space = NB101()
    X = space.canonical_form(np.concatenate([space.sample(400, rng=0), space.from_str(SPECIAL)]))
    widths = vertex_channels(X[:, :21].T.astype(bool), channels)
    for row, width in zip(X, widths.T.tolist(), strict=True):
        matrix, _ = pruned_matrix(space, row)
        expected = paper_channels(matrix, 0, channels)
        assert width[1 : len(matrix) - 1] == expected[1:-1]
        assert width[-1] == channels
        assert not any(width[len(matrix) - 1 : -1])


def paper_cell(cell, matrix, words, x, c_out):
    v = len(matrix)
    channels = paper_channels(matrix, x.shape[1], c_out)
    name = {t: f"vertex_{t}" if t < v - 1 else "vertex_6" for t in range(v)}
    tensors = [x]
    for t in range(1, v - 1):
        total = 0
        for source in range(1, t):
            if matrix[source][t]:
                total = total + tensors[source][:, : channels[t]]
        if matrix[0][t]:
            total = total + cell.projections[name[t]](x)
        if words[t - 1] == "maxpool3x3":
            tensors.append(functional.max_pool2d(total, 3, 1, 1))
        else:
            kernel = cell.ops[name[t]][0].kernel_size
            assert kernel == ((3, 3) if words[t - 1] == "conv3x3" else (1, 1))
            tensors.append(cell.ops[name[t]](total))
    into = [tensors[t] for t in range(1, v - 1) if matrix[t][v - 1]]
    if not into:
        return cell.projections["vertex_6"](x)
    out = torch.cat(into, dim=1)
    return out + cell.projections["vertex_6"](x) if matrix[0][v - 1] else out


@pytest.mark.parametrize("row", [*SMALL.from_str(SPECIAL), *SMALL.sample(6, rng=2)])
def test_same_function_as_the_paper(row):
    torch.manual_seed(0)
    net = SMALL.build(row, (3, 9, 8), 4).train()
    x = torch.randn(5, 3, 9, 8)
    matrix, words = pruned_matrix(SMALL, row)
    h = paper_cell(net.cells[0], matrix, words, net.stem(x), 8)
    h = functional.max_pool2d(h, 2, 2, ceil_mode=True)
    h = paper_cell(net.cells[2], matrix, words, h, 16)
    torch.testing.assert_close(net(x), net.head[-1](h.mean((2, 3))), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("text", SPECIAL)
@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 5, 1), (3, 1, 1)])
def test_forward_and_backward(text, shape):
    net = SMALL.build(SMALL.from_str([text])[0], shape, 4)
    out = net(torch.randn(3, *shape))
    assert out.shape == (3, 4)
    functional.cross_entropy(out, torch.tensor([0, 1, 3])).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_traced_graph_is_the_network():
    for row in [*SMALL.from_str(SPECIAL), *SMALL.sample(3, rng=3)]:
        net = SMALL.build(row, (1, 9, 7), 3).eval()
        x = torch.randn(2, 1, 9, 7)
        torch.testing.assert_close(fx.symbolic_trace(net)(x), net(x))


def test_published_parameters_of_all_small_graphs(data_dir):
    """Exactly, for all 2,532 graphs of at most five vertices."""
    with gzip.open(data_dir / "nb101_small.csv.gz", "rt") as lines:
        rows = {row["hash"]: row for row in csv.DictReader(lines)}
    space = NB101()
    X = np.array([space.from_matrix(row["adjacency"], row["labels"]) for row in rows.values()])
    assert len(X) == 2532
    published = [int(row["params"]) for row in rows.values()]
    np.testing.assert_array_equal(space.costs(X).params, published)


@pytest.mark.parametrize(
    ("settings", "shape", "outputs"),
    [
        ({}, (3, 32, 32), 10),
        ({"channels": 5, "n_cells": 2}, (1, 8, 8), 3),
        ({"channels": 16, "n_stacks": 4, "n_cells": 1}, (2, 5, 1), 1),
    ],
)
def test_closed_form_costs_are_the_measured_ones(settings, shape, outputs):
    space = NB101(**settings).with_io(shape, outputs)
    X = np.concatenate([space.sample(3, rng=0), space.from_str(SPECIAL[1:5])])
    counted = [measure(lambda x=x: space.build(x, shape, outputs), shape) for x in X]
    np.testing.assert_array_equal(np.stack(space.costs(X), axis=1), counted)
