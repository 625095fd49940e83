from __future__ import annotations

import contextlib
import dataclasses
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from foretell.errors import SettingError
from foretell.training.recipe import Recipe

NAMES = [field.name for field in dataclasses.fields(Recipe)]


def test_dict_and_back():
    recipe = Recipe(epochs=3, lr=0.01, optimiser="adamw", amp=False)
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    assert Recipe.from_dict({}) == Recipe()


def test_unknown_settings_get_the_nearest_name():
    with pytest.raises(SettingError, match=r"'optimizer'.*did you mean 'optimiser'\?"):
        Recipe.from_dict({"optimizer": "sgd"})
    with pytest.raises(SettingError, match=r"'xyz'.*expected one of epochs, batch_size"):
        Recipe.from_dict({"xyz": 1})


@pytest.mark.parametrize(
    ("name", "value"),
    [("epochs", 0), ("epochs", 1.5), ("epochs", True), ("epochs", "3"), ("batch_size", 1),
     ("lr", -1), ("lr", float("nan")), ("lr", "0.1"), ("momentum", 1.0), ("warmup", 1.5),
     ("label_smoothing", 1), ("threads", 0), ("optimiser", "adam"), ("schedule", "step"),
     ("augment", "mixup"), ("keep", "first"), ("amp", "yes"), ("amp", 1), ("device", ""),
     ("device", None), ("clip", -1.0), ("early_stop", -1)],
)  # fmt: skip
def test_values_are_checked(name, value):
    with pytest.raises(SettingError, match=f"recipe setting '{name}'.*expected"):
        Recipe.from_dict({name: value})


@given(st.dictionaries(st.sampled_from([*NAMES, "x"]), st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.lists(st.none())
)))  # fmt: skip
def test_fuzz(settings):
    with contextlib.suppress(SettingError):
        recipe = Recipe.from_dict(settings)
        assert Recipe.from_dict(recipe.to_dict()) == recipe


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_schedule_against_torch(schedule):
    """After the warm-up: torch's own schedulers; in it: a straight line."""
    n, warm = 40, 10
    recipe = Recipe(lr=0.3, schedule=schedule, warmup=warm / n)
    rates = np.array([recipe.lr_at(i, n) for i in range(n)])
    np.testing.assert_allclose(rates[:warm], 0.3 * np.arange(1, warm + 1) / warm)
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    scheduler = {
        "cosine": lambda: torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, n - warm),
        "linear": lambda: torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, n - warm),
        "constant": lambda: torch.optim.lr_scheduler.ConstantLR(optimiser, 1.0),
    }[schedule]()
    expected = []
    for _ in range(n - warm):
        expected.append(scheduler.get_last_lr()[0])
        optimiser.step()
        scheduler.step()
    np.testing.assert_allclose(rates[warm:], expected, atol=1e-12)


@pytest.mark.parametrize(("warmup", "n"), [(1.0, 5), (0.0, 1), (0.15, 1), (0.5, 3)])
def test_every_step_has_a_positive_rate(warmup, n):
    recipe = Recipe(warmup=warmup)
    assert all(0 < recipe.lr_at(i, n) <= recipe.step_size for i in range(n))


def test_numbers_of_numpy_are_numbers():
    given = Recipe(epochs=np.int64(3), lr=np.float32(0.5), balance=np.bool_(True))
    assert given == Recipe(epochs=3, lr=0.5, balance=True)
    assert json.dumps(given.to_dict())
    with pytest.raises(SettingError, match="expected a whole number"):
        Recipe(epochs=np.float64(3.5))


def test_rare_classes_are_not_counted_twice():
    assert Recipe(sampler="balanced").sampler == "balanced"
    with pytest.raises(SettingError, match="one of them: both at once"):
        Recipe(sampler="balanced", balance=True)
