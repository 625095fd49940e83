from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

import foretell as ft
from foretell.predictors.gp import _JITTER, _START, _WIDTH, GP, _loss

NB201 = ft.spaces.get("nb201")


def data(n=30):
    X = NB201.sample(n, rng=0)
    return X, np.log1p(NB201.costs(X).params) + 0.1 * np.random.default_rng(0).normal(size=n)


def features(model, X):
    parts = [g(X) / np.exp(t) for g, t in zip(model.groups_, model.theta_, strict=False)]
    return np.concatenate(parts, axis=1)


def test_posterior_against_scikit_learn():
    """With the length scales divided out, scikit-learn's GP with the same kernel agrees."""
    X, y = data()
    new = NB201.sample(50, rng=1)
    model = GP(NB201, target="value", random_state=0).fit(X, y)
    signal, noise = np.exp(model.theta_[-2:])
    kernel = ConstantKernel(signal, "fixed") * Matern(1.0, "fixed", nu=1.5) + WhiteKernel(
        noise + _JITTER, "fixed"
    )
    other = GaussianProcessRegressor(kernel, alpha=0.0, optimizer=None)
    other.fit(features(model, X), (y - y.mean()) / y.std())
    mean, std = other.predict(features(model, new), return_std=True)
    ours, ours_std = model.predict(new, return_std=True)
    assert np.allclose(ours, mean * y.std() + y.mean(), rtol=1e-6)
    without_noise = np.sqrt(np.maximum(std**2 - noise - _JITTER, _JITTER))
    assert np.allclose(ours_std, without_noise * y.std(), rtol=1e-4)


def test_loss_against_scikit_learn_and_its_gradient():
    X, y = data()
    model = GP(NB201, target="value", random_state=0).fit(X, y)
    scores = (y - y.mean()) / y.std()
    squares = [((F[:, None] - F[None]) ** 2).sum(axis=2) for F in model.features_]
    for theta in (np.array([0.5, 1.5, 0.2, -1.0]), model.theta_):
        signal, noise = np.exp(theta[-2:])
        kernel = ConstantKernel(signal, "fixed") * Matern(1.0, "fixed", nu=1.5) + WhiteKernel(
            noise + _JITTER, "fixed"
        )
        scaled = [F / np.exp(t) for F, t in zip(model.features_, theta, strict=False)]
        other = GaussianProcessRegressor(kernel, alpha=0.0, optimizer=None)
        other.fit(np.concatenate(scaled, axis=1), scores)
        prior = 0.5 * (((theta - [_START[0], *_START]) / _WIDTH) ** 2).sum()
        loss, gradient = _loss(theta, squares, scores)
        constant = 0.5 * len(y) * np.log(2 * np.pi)
        assert loss + constant == pytest.approx(prior - other.log_marginal_likelihood(), rel=1e-6)
        numeric = approx_fprime(theta, lambda t: _loss(t, squares, scores)[0], 1e-6)
        assert np.allclose(gradient, numeric, atol=1e-3)
    assert np.abs(_loss(model.theta_, squares, scores)[1]).max() < 0.05  # a minimum


def test_an_encoding_that_says_nothing_is_switched_off():
    X, y = data(80)
    model = GP(NB201, encoding=("size", "one-hot"), random_state=0).fit(X, y)
    assert model.theta_[1] > model.theta_[0] + 1  # log length scales


def test_more_rows_than_it_takes():
    X, y = data(60)
    model = GP(NB201, max_rows=25, random_state=0).fit(X, y)
    assert len(model.weights_) == 25
    assert ft.metrics.kendall(y, model.predict(X)) > 0.4
