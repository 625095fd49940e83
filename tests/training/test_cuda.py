"""On a card: what is recorded is what runs operation by operation, and k networks are k networks.

FORETELL_GPU=1 pytest -m gpu tests/training/test_cuda.py
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

import foretell as ft
from foretell.evaluators.base import Job
from foretell.evaluators.together import Together
from foretell.evaluators.trainer import Trainer
from foretell.training import loop, replay, step
from foretell.training.data import load
from foretell.training.recipe import Recipe

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device, or not FORETELL_GPU"),
]
CARD = torch.device("cuda")
RECIPE = Recipe(epochs=3, batch_size=32, augment="crop+flip", amp=False, device="cuda", lr=0.05)


def images(n=520):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, n)
    x = rng.normal(100, 40, (n, 3, 16, 16)) + 30 * y[:, None, None, None]
    return load((x.clip(0, 255).astype(np.uint8), y))


def network(last: nn.Module | None = None):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        last or nn.Identity(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 3),
    )


class Branches(nn.Module):
    """Waits for the card to say which way to go."""

    def forward(self, x):
        return x * 2 if float(x.detach().mean()) > 0.5 else x


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_a_recorded_training_is_the_eager_one(optimiser):
    data, recipe = images(), dataclasses.replace(RECIPE, optimiser=optimiser, lr=None)
    eager = dataclasses.replace(recipe, graph=False)
    found, expected = (loop.fit(network(), data, r, 0, CARD) for r in (recipe, eager))
    assert found.curve["train_loss"] == pytest.approx(expected.curve["train_loss"], rel=0.05)
    assert found.metrics["val_acc"] == pytest.approx(expected.metrics["val_acc"], abs=0.06)


def test_steps_are_recorded(monkeypatch):
    made: list[replay.Replay] = []

    class Kept(replay.Replay):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            made.append(self)

    monkeypatch.setattr(step, "Replay", Kept)
    loop.fit(network(), images(), RECIPE, 0, CARD)
    assert [one.note for one in made] == [""] * len(made)
    assert any(one.recorded for one in made if one.name == "a step")


def test_a_branch_on_data_trains_operation_by_operation(caplog, monkeypatch):
    monkeypatch.setattr(replay, "_said", set())
    data, eager = images(), dataclasses.replace(RECIPE, graph=False)
    found = loop.fit(network(Branches()), data, RECIPE, 0, CARD)
    expected = loop.fit(network(Branches()), data, eager, 0, CARD)
    assert found.curve["train_loss"] == pytest.approx(expected.curve["train_loss"], rel=0.05)
    assert sum("a step is not recorded" in r.message for r in caplog.records) == 1


class Dropped(ft.Space):
    width = ft.choice([4, 8, 16])

    def build(self, x, input_shape, n_outputs):
        width = self.decode(x)["width"]
        return nn.Sequential(
            nn.Conv2d(input_shape[0], width, 3, padding=1),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(width, n_outputs),
        )


def test_results_do_not_depend_on_how_many_train_at_once():
    trainer = Trainer(Dropped(), images(), RECIPE)
    jobs = [Job(i, np.array([i % 3]), seed=i) for i in range(6)]
    alone, together = (
        {job.id: result for job, result in Together(trainer, k).run(jobs)} for k in (1, 4)
    )
    for i in range(6):
        assert together[i].error == alone[i].error == ""
        assert together[i].curve["train_loss"] == pytest.approx(
            alone[i].curve["train_loss"], rel=1e-3
        )


def test_reading_back_evaluates_as_training_did(tmp_path):
    trainer = Trainer(Dropped(), images(), dataclasses.replace(RECIPE, amp=True))
    weights = tmp_path / "w.safetensors"
    result = trainer.evaluate(np.array([1]), 3, weights=weights)
    model = trainer.space.build(np.array([1]), trainer.data.input_shape, trainer.data.n_outputs)
    from foretell.training import checkpoint

    checkpoint.read_model(model, weights)
    again = trainer.validate(model)
    assert again["val_loss"] == pytest.approx(result.metrics["val_loss"], rel=1e-2)


def test_broken_off_and_continued(tmp_path):
    trainer = Trainer(Dropped(), images(), RECIPE)
    whole = trainer.evaluate(np.array([2]), 5)
    state = tmp_path / "s.safetensors"
    trainer.evaluate(np.array([2]), 5, epochs=1, state=state)
    found = trainer.evaluate(np.array([2]), 5, state=state)
    assert found.curve["train_loss"] == pytest.approx(whole.curve["train_loss"], rel=0.02)


def test_all_proxies_of_a_network_on_the_card():
    """In all digits: signs that flip by rounding are few, so the scores stand to a thousandth."""
    space = ft.spaces.get("nb201", channels=8, n_cells=1)
    rng = np.random.default_rng(0)
    batch = ft.proxies.batch((rng.normal(size=(16, 3, 32, 32)), np.arange(16) % 10))
    names = ft.proxies.names()
    here, there = (
        ft.proxies.ZeroCost(tuple(names), batch, batch=16, space=space, device=device)
        .compute(space.sample(3, rng=0))
        .values
        for device in ("cpu", "cuda")
    )
    for name, one, other in zip(names, here.T, there.T, strict=True):
        np.testing.assert_allclose(other, one, rtol=2e-2, atol=1e-3, err_msg=name)


def test_predictors_score_on_the_card():
    space = ft.spaces.get("nb201")
    X = space.sample(60, rng=0)
    model = ft.predictors.get("gcn", space=space, random_state=0).fit(X, (X == 3).sum(axis=1))
    rows = space.sample(2000, rng=1)
    here, there = (model.set_params(device=device).predict(rows) for device in ("cpu", "cuda"))
    np.testing.assert_allclose(there, here, rtol=1e-3, atol=1e-3)
