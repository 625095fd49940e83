"""Tabular: counts by hand, networks against their closed-form costs, and real learning."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes
from torch import nn

from foretell.errors import SettingError, SpaceError
from foretell.nets.counts import measure
from foretell.spaces.tabular import Tabular


def test_size_by_hand():
    # widths of 1 to 4 layers; activation, norm, dropout; shortcuts only from 2 layers
    assert Tabular().size == (5 + 2 * (5**2 + 5**3 + 5**4)) * 3 * 3 * 3
    small = Tabular(max_depth=2, widths=(8, 16), dropouts=(0,))
    assert small.size == (2 + 2 * 4) * 9 == sum(map(len, small.enumerate()))


@pytest.mark.parametrize(
    ("settings", "shape", "outputs"),
    [
        ({}, (64,), 10),
        ({}, (1,), 1),
        ({"max_depth": 6, "widths": (3, 5)}, (7,), 2),
        ({"dropouts": (0.5,)}, (3, 4, 5), 4),
    ],
)
def test_costs_are_those_of_the_network(settings, shape, outputs):
    space = Tabular(**settings).with_io(shape, outputs)
    X = space.sample(40, rng=0)
    counted = [measure(lambda x=x: space.build(x, shape, outputs), shape) for x in X]
    params, flops = space.costs(X)
    assert list(zip(params.tolist(), flops.tolist(), strict=True)) == counted


def test_costs_of_one_network_by_hand():
    space = Tabular(input_shape=(5,), n_outputs=2)
    X = space.from_str(
        "depth=3,width_0=16,width_1=16,width_2=32,activation=silu,norm=layer,dropout=0.1,residual=True"
    )
    weights = 5 * 16 + 16 * 16 + 16 * 32 + 16 * 32 + 32 * 2  # the last layer's shortcut is a map
    assert int(space.costs(X).flops[0]) == 2 * weights
    assert int(space.costs(X).params[0]) == weights + 3 * (16 + 16 + 32) + 2


def test_what_is_built_is_what_is_written():
    space = Tabular(input_shape=(5,), n_outputs=2)

    def kinds(text):
        net = space.build(space.from_str(text)[0], (5,), 2)
        return [type(m).__name__ for m in net.modules() if not list(m.children())]

    assert kinds("depth=1,width_0=16,activation=tanh,norm=none,dropout=0") == [
        "Flatten", "Linear", "Tanh", "Linear",
    ]  # fmt: skip
    text = "depth=2,width_0=16,width_1={},activation=relu,norm=batch,dropout=0.3,residual=True"
    layer = ["Linear", "BatchNorm1d", "ReLU", "Dropout"]
    assert kinds(text.format(16)) == ["Flatten", *layer, *layer, "Identity", "Linear"]
    assert kinds(text.format(32)) == ["Flatten", *layer, *layer, "Linear", "Linear"]


def test_the_graph_is_the_network_in_words():
    space = Tabular()
    text = "depth=2,width_0=16,width_1=64,activation=relu,norm=batch,dropout=0,residual={}"
    plain, residual = (space.graphs(space.from_str(text.format(r))) for r in (False, True))
    words = [space.vocabulary[o] for o in plain.ops[0] if o >= 0]
    assert words == ["input", "linear16", "batch", "relu", "linear64", "batch", "relu", "output"]
    assert plain.adjacency.sum() == 7
    extra = np.argwhere(residual.adjacency[0] & ~plain.adjacency[0]).tolist()
    assert len(extra) == 1
    assert [space.vocabulary[residual.ops[0, i]] for i in extra[0]] == ["relu", "output"]
    X = np.concatenate(list(space.enumerate()))
    graphs = space.graphs(X)
    both = np.concatenate([graphs.ops, graphs.adjacency.reshape(len(X), -1)], axis=1)
    assert len(np.unique(both, axis=0)) == space.size  # the view loses nothing
    assert len(space.vocabulary) < 60


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"max_depth": 1}, "max_depth"),
        ({"widths": (0, 8)}, "widths"),
        ({"widths": ()}, "one or more"),
        ({"widths": (8.5,)}, "widths"),
        ({"widths": 8}, "'widths': expected a list"),
        ({"dropouts": (0, 1)}, "dropouts"),
        ({"dropouts": ("a",)}, "dropouts"),
        ({"input_shape": ()}, "input_shape"),
    ],
)
def test_settings_that_cannot_work(settings, words):
    with pytest.raises((SettingError, SpaceError), match=words):
        Tabular(**settings)


def test_regression_is_learnt_better_than_the_mean():
    X, y = load_diabetes(return_X_y=True)
    inputs = torch.tensor(X / X.std(axis=0), dtype=torch.float32)
    targets = torch.tensor((y - y.mean()) / y.std(), dtype=torch.float32)[:, None]
    order = np.random.default_rng(0).permutation(len(y))
    train, test = order[:300], order[300:]
    space = Tabular(max_depth=2, widths=(16, 32), input_shape=(10,), n_outputs=1)
    for x in space.sample(3, rng=0):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            net = space.build(x, (10,), 1)
            adam = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=0.05)
            for _ in range(60):
                loss = nn.functional.mse_loss(net(inputs[train]), targets[train])
                adam.zero_grad()
                loss.backward()
                adam.step()
        net.eval()
        with torch.no_grad():
            left = nn.functional.mse_loss(net(inputs[test]), targets[test])
        assert float(1 - left / targets[test].var()) > 0.3  # linear regression has about 0.5
