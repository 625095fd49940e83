"""BONAS: its variance, and the regression against its own network."""

from __future__ import annotations

import numpy as np

import foretell as ft
from foretell.metrics import kendall
from foretell.predictors.bonas import BONAS

NB201 = ft.spaces.get("nb201")
FAST = {"hidden": 16, "members": 2, "epochs": 5, "min_steps": 40}


def examples(n=60):
    X = NB201.sample(n, rng=0)
    return X, (X == 3).sum(axis=1) + 0.1 * (X == 2).sum(axis=1)


def test_bonas_is_less_sure_of_what_it_has_not_seen():
    X, y = examples()
    model = BONAS(NB201, random_state=0, **FAST).fit(X, y)
    T = NB201.sample(50, rng=1)
    view = model._view(T)
    own = [
        one.variance(phi) + one.noise
        for one, phi in zip(model.posterior_, model._phi(model.net_, view), strict=True)
    ]
    far = model._variance(view)
    np.testing.assert_allclose(far, np.mean(own, axis=0))
    assert far.mean() > model._variance(model._view(X)).mean()
    std = model.predict(T, return_std=True)[1]
    model.posterior_ = [one._replace(signal=4 * one.signal) for one in model.posterior_]
    assert (model.predict(T, return_std=True)[1] >= std).all()


def test_regression_of_bonas_agrees_with_its_network():
    X, y = examples()
    model = BONAS(NB201, random_state=0, **FAST).fit(X, y)
    view = model._view(NB201.sample(200, rng=1))
    for m, phi in enumerate(model._phi(model.net_, view)):
        assert kendall(model._scores(view)[m], model.posterior_[m].mean(phi)) > 0.5


def test_beats_the_size_of_the_network(beats_size):
    beats_size(BONAS(NB201, members=2, random_state=0), 0.1)
