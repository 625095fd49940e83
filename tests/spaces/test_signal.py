"""Signal: counts by hand, networks against their closed-form costs, and real time series."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import foretell as ft
from foretell import NAS
from foretell.errors import SpaceError
from foretell.evaluators.trainer import Trainer
from foretell.nets.counts import measure
from foretell.spaces.signal import Signal
from foretell.training.data import load
from foretell.training.recipe import Recipe
from foretell.winner.predict import predict


def test_size_by_hand():
    # width, kernel and stride of 1 to 4 blocks; shortcuts, dropout
    assert Signal().size == sum((4 * 4 * 2) ** depth for depth in (1, 2, 3, 4)) * 2 * 2
    small = Signal(max_depth=2, widths=(8, 16), kernels=(3,), dropouts=(0,))
    assert small.size == (4 + 4**2) * 2 == sum(map(len, small.enumerate()))


@pytest.mark.parametrize(
    ("settings", "shape", "outputs"),
    [
        ({}, (1, 140), 5),
        ({}, (12, 29), 9),
        ({"max_depth": 6, "widths": (3, 5)}, (2, 7), 2),
        ({"dropouts": (0.5,)}, (3, 1), 1),
    ],
)
def test_costs_are_those_of_the_network(settings, shape, outputs):
    space = Signal(**settings).with_io(shape, outputs)
    X = space.sample(40, rng=0)
    counted = [measure(lambda x=x: space.build(x, shape, outputs), shape) for x in X]
    params, flops = space.costs(X)
    assert list(zip(params.tolist(), flops.tolist(), strict=True)) == counted


def test_what_is_computed_is_what_is_written():
    """One block against its formula, from torch's functions."""
    space = Signal(input_shape=(2, 11), n_outputs=3)
    text = "depth=1,width_0=16,kernel_0=5,stride_0=2,residual=True,dropout=0"
    net = space.build(space.from_str(text)[0], (2, 11), 3).eval()
    conv, skip = (m for m in net.modules() if isinstance(m, nn.Conv1d))
    (linear,) = (m for m in net.modules() if isinstance(m, nn.Linear))
    x = torch.randn(4, 2, 11, generator=torch.Generator().manual_seed(0))
    f = nn.functional
    h = f.conv1d(x, conv.weight, stride=2, padding=2) / np.sqrt(1 + 1e-5)  # norm as it begins
    h = torch.relu(h + f.conv1d(x, skip.weight, stride=2))
    expected = h.mean(2) @ linear.weight.T + linear.bias
    torch.testing.assert_close(net(x), expected)


@pytest.mark.parametrize("length", [1, 2, 5, 300])
def test_any_length(length):
    space = Signal(input_shape=(3, 64), n_outputs=2)
    for x in space.sample(10, rng=1):
        net = space.build(x, (3, 64), 2).eval()
        assert net(torch.zeros(2, 3, length)).shape == (2, 2)


def test_graphs_show_blocks_and_shortcuts():
    space = Signal()
    text = "depth=2,width_0=16,width_1=32,kernel_0=3,kernel_1=9,stride_0=1,stride_1=2"
    text += ",residual={},dropout=0.2"
    for residual, edges in ((False, 4), (True, 6)):
        ops, adjacency = space.graphs(space.from_str(text.format(residual)))
        words = [space.vocabulary[k] for k in ops[0] if k >= 0]
        assert words == ["input", "conv3-16-s1", "conv9-32-s2", "dropout0.2", "output"]
        assert adjacency[0].sum() == edges


def test_even_kernels_are_refused():
    with pytest.raises(SpaceError, match="odd lengths"):
        Signal(kernels=(3, 4))


@pytest.mark.parametrize(
    ("name", "classes", "least"), [("BasicMotions", 4, 0.7), ("JapaneseVowels", 9, 0.5)]
)
def test_learns_real_time_series(data_dir, name, classes, least):
    """Far above the share of the most frequent class, 1 / classes, on the published test split."""
    arrays = np.load(data_dir / "timeseries_small.npz")
    parts = [(arrays[f"{name}_x_{part}"], arrays[f"{name}_y_{part}"]) for part in ("train", "test")]
    x, y = (np.concatenate(both) for both in zip(*parts, strict=True))
    data = load((x, y))
    assert data.input_shape == x.shape[1:]
    space = Signal().with_io(data.input_shape, data.n_outputs)
    assert data.n_outputs == classes
    row = space.baseline()[1]
    result = Trainer(space, data, Recipe(epochs=12, batch_size=16)).evaluate(row, seed=0)
    assert result.metrics["val_acc"] > least


def test_a_whole_run(data_dir, tmp_path):
    arrays = np.load(data_dir / "timeseries_small.npz")
    source = arrays["BasicMotions_x_train"], arrays["BasicMotions_y_train"]
    nas = NAS("signal", space_settings={"max_depth": 2}, n_train=2, top_k=1, epochs=3, workers=0,
              out=tmp_path / "o", predictor="gp")  # fmt: skip
    nas.fit(source, layout="channels-first")
    assert (tmp_path / "o" / "best" / "model.py").exists()
    np.savez(tmp_path / "new.npz", x=source[0])
    assert len(predict(tmp_path / "o" / "best", tmp_path / "new.npz")) == 40


@pytest.mark.parametrize(("shape", "other"), [((5,), "tabular"), ((3, 8, 8), "mobile")])
def test_what_are_no_signals_have_another_space(shape, other):
    space = Signal().with_io(shape, 2)
    for call in (lambda: space.costs(space.sample(2, rng=0)),
                 lambda: space.build(space.sample(1, rng=0)[0], shape, 2)):  # fmt: skip
        with pytest.raises(SpaceError, match=f"signal takes signals: .*the space '{other}'"):
            call()
    images = ft.spaces.get("mobile", preset="tiny").with_io((2, 50), 2)
    with pytest.raises(SpaceError, match="for signals use the space 'signal'"):
        images.costs(images.sample(2, rng=0))
