"""Sparse Gaussian processes against the exact process and against the closed form of the best q."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

import foretell as ft
from foretell.errors import SettingError

SPACE = ft.spaces.get("nb201")


def made(n, seed=0):
    X = SPACE.sample(n, rng=seed)
    return X, np.log1p(SPACE.costs(X).params) + 0.1 * np.random.default_rng(seed).normal(size=n)


def model_of(kind, **settings):
    return kind(SPACE, **{"encoding": "one-hot", "target": "value", "random_state": 0, **settings})


def check_exact(kind, parts):
    """All rows as points give the exact process.

    Args:
        kind: the class.
        parts: of a fitted model scale, length, noise and inducing points.
    """
    X, y = made(40)
    model = model_of(kind, points=40, steps=0).fit(X, y)
    scale, length, noise, Z = parts(model)
    F = model.metrics_[0].features
    assert np.allclose(Z, np.unique(F, axis=0))
    kernel = ConstantKernel(scale) * Matern(length, nu=1.5) + WhiteKernel(noise)
    exact = GaussianProcessRegressor(kernel, alpha=0, optimizer=None)
    exact.fit(F, (y - y.mean()) / y.std())
    new = SPACE.sample(60, rng=1)
    mean, std = model.predict(new, return_std=True)
    expected, deviation = exact.predict(model.metrics_[0](new), return_std=True)
    assert np.allclose(mean, expected * y.std() + y.mean(), atol=1e-3 * y.std())
    calibrated = np.sqrt(model.shrink_ * deviation**2 + model.widen_) * y.std()
    assert np.allclose(std, calibrated, rtol=1e-2)


def check_closed_form(kind, parts):
    """Given Z and kernel, the best q has A = K_zz + K_zx K_xz / noise and mean K_xz A^-1 K_zx y."""
    X, y = made(80)
    model = model_of(kind, points=12, steps=10).fit(X, y)
    scale, length, noise, Z = parts(model)
    kernel = ConstantKernel(scale) * Matern(length, nu=1.5)
    F, z = model.metrics_[0].features, (y - y.mean()) / y.std()
    new = SPACE.sample(60, rng=1)
    zz, zx, zn = (kernel(Z, other) for other in (Z, F, model.metrics_[0](new)))
    zz = zz + 1e-6 * np.eye(12)
    A = zz + zx @ zx.T / noise
    expected = zn.T @ np.linalg.solve(A, zx @ z) / noise
    variance = scale - np.einsum("ij,ij->j", zn, np.linalg.solve(zz, zn) - np.linalg.solve(A, zn))
    mean, std = model.predict(new, return_std=True)
    assert np.allclose(mean, expected * y.std() + y.mean(), atol=2e-3 * y.std())
    calibrated = np.sqrt(model.shrink_ * (variance + noise) + model.widen_) * y.std()
    assert np.allclose(std, calibrated, rtol=0.02)
    assert len(Z) == 12


def check_settings(kind):
    """Wrong settings are refused in words."""
    X, y = made(5)
    for settings, message in (
        ({"points": 0}, "points: expected a whole number from 1, got 0"),
        ({"steps": -1}, "steps: expected a whole number from 0"),
        ({"smooth": 2}, "smooth: expected 0.5, 1.5, 2.5 or inf"),
    ):
        with pytest.raises(SettingError, match=message):
            model_of(kind, **settings).fit(X, y)
