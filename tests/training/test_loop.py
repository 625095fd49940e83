from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, r2_score, root_mean_squared_error
from torch import nn

from foretell.errors import SpaceError
from foretell.training import loop, step
from foretell.training.data import batches, load
from foretell.training.recipe import Recipe

CPU = torch.device("cpu")


def linear(data, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        features = int(np.prod(data.input_shape))
        return nn.Sequential(nn.Flatten(), nn.Linear(features, data.n_outputs))


def small_images(n=60):
    rng = np.random.default_rng(0)
    return load((rng.integers(0, 256, (n, 3, 8, 8), dtype=np.uint8), np.arange(n) % 2))


def regression(n=400):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 5))
    return load((x, 1000 + 50 * x @ np.arange(5) + rng.normal(size=n)))


def test_one_full_batch_epoch_is_a_gradient_step():
    """Oracle: w - lr g of the mean cross entropy, written out with softmax."""
    data = load("digits")
    model = linear(data)
    w = model[1].weight.detach().double().clone()
    b = model[1].bias.detach().double().clone()
    recipe = Recipe(epochs=1, batch_size=5000, lr=0.5, momentum=0.0, weight_decay=0.0,
                    warmup=0.0, label_smoothing=0.0, clip=0.0)  # fmt: skip
    loop.fit(model, data, recipe, 0, CPU)
    rows = data.split["train"]
    x = torch.from_numpy(data.x[rows]).flatten(1).double()
    y = torch.from_numpy(data.y[rows])
    error = torch.softmax(x @ w.T + b, 1) - torch.eye(10)[y]
    torch.testing.assert_close(
        model[1].weight.double(), w - 0.5 * error.T @ x / len(x), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(model[1].bias.double(), b - 0.5 * error.mean(0), atol=1e-5, rtol=0)


def test_a_linear_network_reaches_the_linear_optimum():
    """Oracle: scikit-learn's ridge regression and its metrics in the user's unit."""
    data = regression()
    fit = loop.fit(linear(data), data, Recipe(epochs=40, weight_decay=0.0), 0, CPU)
    train, val = data.split["train"], data.split["val"]
    oracle = Ridge(alpha=1e-9).fit(data.x[train], data.y[train])
    predicted = oracle.predict(data.x[val])
    unit = data.target_std[0]
    rmse = root_mean_squared_error(data.y[val] * unit, predicted * unit)
    assert fit.metrics["val_rmse"] == pytest.approx(rmse, rel=0.02)
    assert fit.metrics["val_r2"] == pytest.approx(r2_score(data.y[val], predicted), abs=1e-3)


def test_metrics_of_classification_against_scikit_learn():
    data = load("digits")
    train, test = data.split["train"], data.split["test"]
    flat = data.x.reshape(len(data.x), -1)
    oracle = LogisticRegression(max_iter=500).fit(flat[train], data.y[train])
    model = linear(data)
    with torch.no_grad():
        model[1].weight.copy_(torch.from_numpy(oracle.coef_))
        model[1].bias.copy_(torch.from_numpy(oracle.intercept_))
    metrics = loop.evaluate(model, batches.Split(data, "test", CPU), data, Recipe())
    assert metrics["acc"] == pytest.approx(oracle.score(flat[test], data.y[test]))
    assert metrics["loss"] == pytest.approx(
        log_loss(data.y[test], oracle.predict_proba(flat[test])), rel=1e-4
    )


def test_metrics_of_several_targets_against_scikit_learn():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 3))
    data = load((x, x @ rng.normal(size=(3, 2)) * [1, 100]))
    model = linear(data)
    metrics = loop.evaluate(model, batches.Split(data, "val", CPU), data, Recipe())
    rows = data.split["val"]
    with torch.no_grad():
        out = model(torch.from_numpy(data.x[rows])).numpy()
    y = data.y[rows]
    assert metrics["r2"] == pytest.approx(r2_score(y, out), rel=1e-5)
    expected = np.sqrt(np.mean(((out - y) * data.target_std) ** 2))
    assert metrics["rmse"] == pytest.approx(expected, rel=1e-5)
    assert metrics["loss"] == pytest.approx(np.mean((out - y) ** 2), rel=1e-5)


def test_batches_of_bytes_are_normalised():
    data = small_images()
    x, y = batches.Split(data, "train", CPU).batch(torch.tensor([3, 0]))
    rows = data.split["train"][[3, 0]]
    each = (1, 3, 1, 1)
    expected = (data.x[rows] / 255 - data.mean.reshape(each)) / data.std.reshape(each)
    np.testing.assert_allclose(x.numpy(), expected, atol=1e-5)
    assert y.tolist() == data.y[rows].tolist()


def test_data_that_stays_on_disk_trains_to_the_same(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    data = load((rng.integers(0, 256, (400, 3, 32, 32), dtype=np.uint8), np.arange(400) % 2))
    recipe = Recipe(epochs=1)
    held = loop.fit(linear(data), data, recipe, 0, CPU)
    monkeypatch.setattr(batches, "IN_MEMORY", 1000)
    spilled = data.spill(tmp_path)
    assert batches.Split(spilled, "train", CPU).held is None
    assert loop.fit(linear(data), spilled, recipe, 0, CPU) == held


@pytest.mark.parametrize("n_train", [2, 3, 5, 64, 65, 129])
def test_no_batch_has_one_row(n_train):
    """Batch normalisation of 1 x 1 maps refuses a batch of one."""
    rng = np.random.default_rng(0)
    n = n_train + 4
    x = rng.normal(size=(n, 3))
    data = load((x, x[:, 0]), fractions=(n_train / n, 2 / n, 2 / n))
    assert data.sizes[0] == n_train
    sizes = []
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    model.register_forward_pre_hook(lambda m, a: sizes.append(len(a[0])) if m.training else None)
    loop.fit(model, data, Recipe(epochs=1, batch_size=64), 0, CPU)
    assert sum(sizes) == n_train
    assert min(sizes) >= 2
    assert max(sizes) <= 64
    sizes.clear()
    loop.fit(model, data, Recipe(epochs=1, batch_size=2), 0, CPU)
    assert (sum(sizes), min(sizes) >= 2, max(sizes) <= 3) == (n_train, True, True)


def test_kept_epoch():
    """A rate far too high at the end: the best epoch is not the last one."""
    data = load("digits")
    common = Recipe(
        epochs=6, lr=1e-2, schedule="constant", warmup=1.0, clip=0.0, label_smoothing=0.0
    )
    wild = dataclasses.replace(common, lr=40.0)
    last = loop.fit(linear(data), data, wild, 0, CPU)
    model = linear(data)
    best = loop.fit(model, data, dataclasses.replace(wild, keep="best"), 0, CPU)
    assert last.curve == best.curve
    assert last.epoch == 5
    assert best.epoch == int(np.argmin(best.curve["val_loss"])) < 5
    assert best.metrics["val_acc"] == best.curve["val_acc"][best.epoch]
    again = loop.evaluate(model, batches.Split(data, "val", CPU), data, common)
    assert again["loss"] == pytest.approx(best.metrics["val_loss"])
    assert last.metrics["val_loss"] == last.curve["val_loss"][-1]


def test_early_stop_and_epochs_seen():
    data = load("digits")
    recipe = Recipe(epochs=50, lr=40.0, schedule="constant", warmup=0.0, early_stop=2, keep="best")
    seen = []
    fit = loop.fit(linear(data), data, recipe, 0, CPU, lambda epoch, row: seen.append((epoch, row)))
    n = len(fit.curve["val_loss"])
    assert n == fit.epoch + 3 < 50
    assert [epoch for epoch, _ in seen] == list(range(n))
    assert [row["val_loss"] for _, row in seen] == fit.curve["val_loss"]


def test_part_of_a_training_and_its_steps(monkeypatch):
    """The rates are those of all epochs, so the part is the beginning of the whole."""
    data, recipe, pulses, asked = load("digits"), Recipe(epochs=3), [], []
    n = -(-data.sizes[0] // recipe.batch_size)
    whole = loop.fit(linear(data), data, recipe, 0, CPU)
    lr_at = Recipe.lr_at
    monkeypatch.setattr(Recipe, "lr_at", lambda *a: asked.append(a[1:]) or lr_at(*a))
    part = loop.fit(
        linear(data), data, recipe, 0, CPU, on_step=lambda: pulses.append(1), until=2
    )  # fmt: skip
    assert (whole.ended, part.ended) == (True, False)
    assert part.curve == {name: values[:2] for name, values in whole.curve.items()}
    assert part.metrics["val_loss"] == whole.curve["val_loss"][1]
    assert len(pulses) == 2 * n
    assert list(dict.fromkeys(asked)) == [(step, 3 * n) for step in range(2 * n)]


def test_diverged_training_says_so():
    data = regression()
    recipe = Recipe(lr=1000.0, clip=0.0, schedule="constant", warmup=0.0)
    with pytest.raises(loop.DivergedError, match=r"loss is not a number in epoch [1-4]"):
        loop.fit(linear(data), data, recipe, 0, CPU)


def test_wrong_output_shape():
    data = load("digits")
    with pytest.raises(SpaceError, match=r"a tensor \(\d+, 10\), got shape \(\d+, 1, 8, 8\)"):
        loop.fit(nn.Conv2d(1, 1, 1), data, Recipe(), 0, CPU)


def test_weight_decay_leaves_vectors_alone():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 3))
    decayed, free = step.optimiser_of(model, Recipe(weight_decay=0.1), CPU).param_groups
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    assert [p.ndim for p in decayed["params"]] == [4, 2]
    assert {p.ndim for p in free["params"]} == {1}
