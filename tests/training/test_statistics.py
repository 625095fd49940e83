from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from foretell.training import loop, statistics, step
from foretell.training.checkpoint import State
from foretell.training.data import batches, load
from foretell.training.recipe import Recipe

CPU = torch.device("cpu")


class Own(nn.Module):
    """A layer of somebody's own that follows statistics as torch's do."""

    def __init__(self, width):
        super().__init__()
        self.momentum = 0.01
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, x):
        if self.training:
            self.running_mean.lerp_(x.mean(0), self.momentum)
            self.running_var.lerp_(x.var(0), self.momentum)
        return (x - self.running_mean) / self.running_var.sqrt()


class Frozen(nn.Sequential):
    """Its normalisation stays as it came, also in training."""

    def train(self, mode=True):
        super().train(mode)
        self[1].eval()
        return self


def drawn(n, *shape):
    return 3 + 2 * torch.randn(n, *shape, generator=torch.Generator().manual_seed(0))


def buffers(model):
    return {name: value.clone() for name, value in model.named_buffers()}


@pytest.mark.parametrize("momentum", [0.1, 1e-3, None])
@pytest.mark.parametrize("shape", [(4,), (4, 6), (4, 5, 5), (4, 3, 3, 3)])
def test_batch_normalisation_as_torch_recomputes_it(shape, momentum):
    """Oracle: torch.optim.swa_utils.update_bn, on a network that has nothing random."""
    kind = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[len(shape) - 1]
    model = nn.Sequential(kind(4, momentum=momentum), nn.ReLU(), kind(4, momentum=momentum))
    parts = drawn(24, *shape).split(8)
    update_bn(parts, model)
    expected = buffers(model)
    for layer in (model[0], model[2]):
        layer.reset_running_stats()
    counted = {k: v for k, v in buffers(model).items() if k.endswith("tracked")}
    statistics.estimate(model, parts)
    for name, value in buffers(model).items():
        torch.testing.assert_close(value, counted.get(name, expected[name]), rtol=1e-5, atol=1e-6)
    assert (model[0].momentum, model.training) == (momentum, False)


def test_instance_normalisation_and_layers_of_ones_own():
    x = drawn(12, 4, 6)
    model = nn.InstanceNorm1d(4, track_running_stats=True)
    statistics.estimate(model, x.split(4))
    torch.testing.assert_close(model.running_mean, x.mean((0, 2)))
    torch.testing.assert_close(model.running_var, x.var(2).mean(0))
    own, rows = Own(4), drawn(12, 4)
    statistics.estimate(own, [rows])
    torch.testing.assert_close(own.running_mean, rows.mean(0))
    torch.testing.assert_close(own.running_var, rows.var(0))


def test_a_shared_layer_has_the_mean_over_its_places():
    norm = nn.BatchNorm1d(3)
    model = nn.Sequential(norm, nn.Linear(3, 3), norm)
    x = drawn(16, 3)
    with torch.no_grad():
        inside = model[1](nn.functional.batch_norm(x, None, None, training=True))
    statistics.estimate(model, [x])
    torch.testing.assert_close(norm.running_mean, (x.mean(0) + inside.mean(0)) / 2)


@pytest.mark.parametrize(
    "model",
    [
        Frozen(nn.Linear(4, 4), nn.BatchNorm1d(4)),
        nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, momentum=0.0)),
        nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, track_running_stats=False)),
        nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)),
    ],
    ids=["frozen", "no momentum", "not tracked", "layer norm"],
)
def test_what_does_not_follow_statistics_is_left_alone(model):
    before = buffers(model)
    assert statistics.tracking(model) == {}
    statistics.estimate(model, [drawn(8, 4)])
    assert all(torch.equal(value, before[name]) for name, value in buffers(model).items())


def test_dropout_is_off_and_nothing_else_moves():
    model = nn.Sequential(nn.Dropout(0.9), nn.BatchNorm1d(4)).train()
    x, before = drawn(64, 4), torch.get_rng_state()
    statistics.estimate(model, [x])
    torch.testing.assert_close(model[1].running_mean, x.mean(0))
    assert torch.equal(torch.get_rng_state(), before)
    kept = buffers(model)
    with statistics.aside(model), pytest.raises(RuntimeError):
        statistics.estimate(model, [x + 1, drawn(4, 7)])  # breaks off at the second batch
    assert all(torch.equal(value, kept[name]) for name, value in buffers(model).items())
    assert (model[1].momentum, model.training, dict(model[1]._forward_hooks)) == (0.1, False, {})


def test_cost_is_bounded():
    """Rows looked at, of all rows trained on: at most 1/8 for the epochs and 1/8 for the last."""
    for n, epochs in [(700, 1), (700, 2), (5000, 10), (50_000, 100)]:
        looked = (epochs - 1) * statistics.plan(n, epochs, last=False)
        looked += statistics.plan(n, epochs, last=True)
        assert looked <= n * epochs / 4


def images(n=120, side=8):
    rng = np.random.default_rng(0)
    y = np.arange(n) % 3
    x = rng.integers(0, 90, (n, 3, side, side), dtype=np.uint8)
    x[np.arange(n), y] += 60
    return load((x, y))


def network(kind=nn.BatchNorm2d):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), kind(8), nn.ReLU(), nn.Conv2d(8, 8, 3), kind(8), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3),
    )  # fmt: skip


def slow_batch(width):
    return nn.BatchNorm2d(width, momentum=0.01)


def tracked_instance(width):
    return nn.InstanceNorm2d(width, momentum=0.02, track_running_stats=True)


@pytest.fixture(autouse=True)
def _same_randomness_after():
    with torch.random.fork_rng(devices=[]):
        yield


@pytest.mark.parametrize("kind", [nn.BatchNorm2d, slow_batch, tracked_instance])
def test_few_steps_are_validated_as_what_they_learnt(kind, monkeypatch):
    """After 6 steps running averages are still much of what they began with."""
    data, recipe = images(), Recipe(epochs=3, augment="none", lr=0.3)
    model = network(kind)
    fit = loop.fit(model, data, recipe, 0, CPU)
    val = batches.Split(data, "val", CPU)
    measured, kept = loop.evaluate(model, val, data, recipe), statistics.read(model)
    assert {f"val_{key}": value for key, value in measured.items()} == fit.metrics
    x, _ = batches.Split(data, "train", CPU).batch(torch.arange(data.sizes[0]))
    statistics.estimate(model, [x])
    whole = statistics.read(model)
    monkeypatch.setattr(step.Settles, "__call__", lambda self, rows: iter(()))
    other = network(kind)
    lagging = loop.fit(other, data, recipe, 0, CPU)
    assert lagging.curve["train_loss"] == fit.curve["train_loss"]
    far, near = (
        sum(float((one[name] - value).square().sum()) for name, value in whole.items()) ** 0.5
        for one in (statistics.read(other), kept)
    )
    assert far > 5 * near


@pytest.mark.parametrize("keep", ["last", "best"])
def test_training_goes_on_with_its_own_averages(keep, monkeypatch, tmp_path):
    """To the bit: weights as if nothing had been estimated, and from a state as in one go."""
    data, recipe = images(), Recipe(epochs=4, keep=keep)
    whole = network()
    fit = loop.fit(whole, data, recipe, 0, CPU)
    for until in (1, 3, None, None):  # the last one finds all epochs in its state
        model = network()
        state = State(tmp_path / "state.safetensors", {}, every_s=0.0)
        part = loop.fit(model, data, recipe, 0, CPU, state=state, until=until)
        n = len(part.curve["val_loss"])
        assert part.curve == {name: values[:n] for name, values in fit.curve.items()}
    assert part == fit
    for name, value in whole.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name
    assert loop.evaluate(model, batches.Split(data, "val", CPU), data, recipe) == {
        key.removeprefix("val_"): value for key, value in fit.metrics.items()
    }
    monkeypatch.setattr(step.Settles, "__call__", lambda self, rows: iter(()))
    bare = network()
    last = Recipe(epochs=4)
    loop.fit(bare, data, last, 0, CPU)
    if keep == "last":
        assert all(
            torch.equal(a, b) for a, b in zip(bare.parameters(), whole.parameters(), strict=True)
        )
