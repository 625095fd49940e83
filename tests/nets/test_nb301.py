"""The network of DARTS: published parameters, the second head, and drop path."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import foretell as ft
from foretell.errors import SettingError
from foretell.nets.counts import measure
from foretell.spaces.nb301 import NB301
from foretell.training.data import load
from foretell.training.loop import fit
from foretell.training.recipe import Recipe

V2 = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), "
    "('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), "
    "('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), "
    "('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])"
)
SMALL = {"channels": 4, "n_cells": 3, "input_shape": (1, 8, 8)}


def test_published_parameters_of_the_second_order_cell():
    """3.349342 M, as its authors' training prints them, without the second head."""
    space = NB301(channels=36, n_cells=20)
    X = space.from_str([V2])
    assert space.costs(X).params.tolist() == [3_349_342]
    assert measure(lambda: space.build(X[0], (3, 32, 32), 10), (3, 32, 32))[0] == 3_349_342


def test_second_head():
    """Of 8 x 8 maps as in the paper: 5 x 5 averages, 128 and 768 channels; in training alone."""
    space = NB301(channels=4, n_cells=3, auxiliary=True)
    torch.manual_seed(0)
    net = space.build(space.from_str([V2])[0], (3, 32, 32), 10)
    channels = 4 * 16
    expected = 128 * (channels + 2) + 128 * 768 * 4 + 2 * 768 + 768 * 10 + 10
    assert sum(p.numel() for p in net.auxiliary.parameters()) == expected
    x = torch.randn(4, 3, 32, 32)
    maps = torch.randn(4, channels, 8, 8)
    assert functional.avg_pool2d(maps, 5, stride=3).shape == (4, channels, 2, 2)
    assert net.auxiliary(maps).shape == (4, 10)
    assert net.train()(x).shape == (4, 10)
    ((weight, outputs),) = net.more_outputs()
    assert weight == 0.4
    (g,) = torch.autograd.grad(outputs.sum(), [net.stem[0].weight])
    assert g.abs().sum() > 0
    assert net.more_outputs() == []
    net.eval()(x)
    assert net.more_outputs() == []


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 12), (2, 3, 3)])
def test_second_head_of_any_size(shape):
    space = NB301(**{**SMALL, "auxiliary": True})
    net = space.build(space.sample(1, rng=0)[0], shape, 3).train()
    assert net(torch.randn(4, *shape)).shape == (4, 3)
    assert net.more_outputs()[0][1].shape == (4, 3)


def test_drop_path():
    """An example goes without an operation, or with it 1 / (1 - p) times: right in the mean."""
    space = NB301(**{**SMALL, "drop_path": 0.5})
    net = space.build(space.from_str([V2])[0], (1, 8, 8), 3).train()
    cell = net.cells[0]
    kinds = {type(op) for op in cell.ops}
    assert nn.Identity in kinds
    x = torch.randn(400, 4, 8, 8)
    for i, op in enumerate(cell.ops):
        whole, part = op(x), cell._term(i, x, 0.25)
        ratio = (part / whole).flatten(1)[whole.flatten(1).abs() > 1e-3]
        if isinstance(op, nn.Identity):
            assert torch.equal(part, whole)
            continue
        assert set(np.unique(ratio.detach().numpy().round(3))) == {0.0, np.float32(1.333)}
        share = float((part.detach().flatten(1).abs().sum(dim=1) > 0).float().mean())
        assert share == pytest.approx(0.75, abs=4 * (0.25 * 0.75 / 400) ** 0.5)
    images = torch.randn(8, 1, 8, 8)
    assert not torch.equal(net(images), net(images))
    net.progress(0.0)
    assert torch.equal(net(images), net(images))
    net.progress(1.0)
    assert torch.equal(net.eval()(images), net(images))


def test_training_uses_both():
    """The second head learns, and the probability grows with the epochs."""
    data = load("digits")
    space = NB301(**{**SMALL, "auxiliary": True, "drop_path": 0.2})
    torch.manual_seed(0)
    net = space.build(space.from_str([V2])[0], (1, 8, 8), 10)
    shares = []
    progress = net.progress
    net.progress = lambda share: (shares.append(share), progress(share))
    before = net.auxiliary.head[-1].weight.detach().clone()
    fit(net, data, Recipe(epochs=2, batch_size=256), 0, torch.device("cpu"))
    assert not torch.equal(before, net.auxiliary.head[-1].weight)
    assert shares == [0.0, 0.5]


def test_wrong_probability():
    with pytest.raises(SettingError, match="drop_path"):
        ft.spaces.get("darts", drop_path=1.0)
