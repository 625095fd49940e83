"""Tuning: the budget, the default first, the training rows alone; ranges of the whole catalog."""

from __future__ import annotations

from importlib.util import find_spec
from typing import ClassVar

import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.model_selection import ParameterSampler

import foretell as ft
from foretell import _catalog
from foretell.errors import SettingError
from foretell.predictors.base import Predictor
from foretell.studies._tuning import Tuning, tune

SPACE = ft.spaces.get("nb201")
X = SPACE.sample(60, rng=0)
Y = (X == 3).sum(axis=1) + np.random.default_rng(0).normal(0, 0.1, 60)
INSTALLED = [row.name for row in _catalog.KINDS["predictor"] if all(map(find_spec, row.packages))]


class Scaled(Predictor):
    """Counts convolutions, and turns the order round for a negative factor."""

    ranges: ClassVar = {"factor": [-2.0, 3.0, 0.5]}
    fits: ClassVar[list[int]] = []  # rows seen by each fit

    def __init__(self, space, factor=-1.0, random_state=None):
        self.space, self.factor, self.random_state = space, factor, random_state

    def _fit(self, X, y, rng):
        Scaled.fits.append(len(X))
        if self.factor == 0.5:
            raise FloatingPointError("does not work")

    def _predict(self, X):
        return self.factor * (X == 3).sum(axis=1).astype(float), None


def test_the_best_settings_are_found_and_broken_ones_are_not():
    Scaled.fits.clear()
    found = tune(Scaled(SPACE), X, Y, Tuning(trials=9), seed=0)
    assert found.settings == {"factor": 3.0}
    assert str(found) == '{"factor": 3.0}'
    assert found.trials == 4  # what it came with, and each of the list once
    assert set(Scaled.fits) == {40}  # two of three folds


def test_settings_that_are_no_better_change_nothing():
    found = tune(Scaled(SPACE, factor=1.0), X, Y, Tuning(trials=9), seed=0)
    assert found.settings == {}
    assert str(found) == ""


def test_budgets():
    model = Scaled(SPACE)
    assert tune(model, X, Y, Tuning(trials=1), seed=0).trials == 1
    assert tune(model, X, Y, Tuning(seconds=1e-9), seed=0).trials == 1
    assert tune(model, X, Y, None, seed=0).trials == 0
    assert tune(model, X[:9], Y[:9], Tuning(), seed=0).trials == 0
    assert tune(ft.predictors.get("mean", space=SPACE), X, Y, Tuning(), seed=0).trials == 0


def test_continuous_ranges_and_determinism():
    class Free(Scaled):
        ranges: ClassVar = {"factor": loguniform(0.1, 10)}

    one, two = (tune(Free(SPACE), X, Y, Tuning(trials=3), seed=5) for _ in range(2))
    assert one == two
    assert type(one.settings["factor"]) is float


@pytest.mark.parametrize("text", ["0", "-3", "1.5", "fast", "nans", "infs", "", "0s"])
def test_wrong_budgets(text):
    with pytest.raises(SettingError, match="trials such as 20"):
        Tuning.of(text)


def test_units():
    assert Tuning.of("2m") == Tuning(seconds=120.0)
    assert str(Tuning.of("1.5h")) == "5400s"
    assert Tuning.of(7) == Tuning.of("7")


@pytest.mark.parametrize("name", INSTALLED)
def test_ranges_are_settings_that_are_accepted(name):
    model = ft.predictors.get(name, space=SPACE, random_state=0)
    if name in ("gcn", "gp", "rf", "xgb", "lgb", "ngb", "mlp", "bayes-lin"):
        assert model.ranges
    assert set(model.ranges) <= set(model.get_params())
    for settings in ParameterSampler(dict(model.ranges), 3 * bool(model.ranges), random_state=0):
        assert clone(model).set_params(**settings).get_params().items() >= settings.items()
