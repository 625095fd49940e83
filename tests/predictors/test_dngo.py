"""`dngo`: its head is Bayesian linear regression on the hidden layer of its networks."""

from __future__ import annotations

import numpy as np
import pytest

import foretell as ft
from foretell.errors import SettingError
from foretell.predictors.dngo import DNGO, _hidden

SPACE = ft.spaces.get("nb201")


def made(n, seed=0):
    X = SPACE.sample(n, rng=seed)
    return X, np.log1p(SPACE.costs(X).params) + 0.1 * np.random.default_rng(seed).normal(size=n)


def test_head_against_the_dense_inverse():
    """S = (Z^T Z / noise + I / signal)^-1: mean z S Z^T t / noise, variance z S z + noise."""
    X, y = made(60)
    model = DNGO(
        SPACE, width=20, members=1, epochs=20, target="value", loss="mse", random_state=0
    ).fit(X, y)
    (head,) = model.posterior_
    new = SPACE.sample(50, rng=1)
    Z, z = (
        (_hidden(model.net_, model._view(rows))[0] - head.centre) * head.scale for rows in (X, new)
    )
    t = (y - y.mean()) / y.std()
    S = np.linalg.inv(Z.T @ Z / head.noise + np.eye(20) / head.signal)
    expected = z @ S @ Z.T @ t / head.noise
    mean, std = model.predict(new, return_std=True)
    assert np.allclose(mean, expected * y.std() + y.mean(), atol=1e-3 * y.std())
    variance = np.einsum("ij,jk,ik->i", z, S, z)
    assert np.allclose(std, np.sqrt(variance + head.noise) * y.std(), rtol=2e-3)


def test_head_maximises_the_evidence():
    """No other pair of variances nearby gives the targets a higher density."""
    X, y = made(60)
    model = DNGO(SPACE, width=20, members=1, epochs=20, target="value", loss="mse", random_state=0)
    (head,) = model.fit(X, y).posterior_
    Z = (_hidden(model.net_, model._view(X))[0] - head.centre) * head.scale
    t = (y - y.mean()) / y.std()

    def evidence(signal, noise):
        C = signal * Z @ Z.T + noise * np.eye(60)
        return -0.5 * (np.linalg.slogdet(C)[1] + t @ np.linalg.solve(C, t))

    best = evidence(head.signal, head.noise)
    for a in (0.2, 1.0, 5.0):
        for b in (0.2, 1.0, 5.0):
            assert best >= evidence(a * head.signal, b * head.noise) - 1e-9


def test_wrong_settings():
    X, y = made(5)
    for settings, message in (
        ({"width": 0}, "width: expected a whole number from 1"),
        ({"encoding": None}, "encoding: expected a name"),
        ({"loss": "bce"}, "loss: expected mse, mae, rank"),
    ):
        with pytest.raises(SettingError, match=message):
            DNGO(SPACE, **settings).fit(X, y)


def test_on_the_real_table(beats_size):
    beats_size(DNGO(SPACE, random_state=0), 0.05, seed=0, n=172, n_test=1000)
