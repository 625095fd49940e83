"""`var-sparse-gp` against the exact process and against Titsias' closed form of the best q."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

import foretell as ft
from foretell.errors import SettingError
from foretell.metrics import kendall
from foretell.predictors.var_sparse_gp import VarSparseGP

pytest.importorskip("gpytorch")
SPACE = ft.spaces.get("nb201")


def made(n, seed=0):
    X = SPACE.sample(n, rng=seed)
    return X, np.log1p(SPACE.costs(X).params) + 0.1 * np.random.default_rng(seed).normal(size=n)


def model_of(**settings):
    settings = {"encoding": "one-hot", "target": "value", "random_state": 0, **settings}
    return VarSparseGP(SPACE, **settings)


def parts(model):
    """Scale, length, noise and inducing points of a fitted model with one encoding."""
    kernel, noise = model.model_.kernel, model.model_.likelihood.noise.item()
    Z = model.model_.variational_strategy.inducing_points
    length = kernel.base_kernel.lengthscale.item()
    return kernel.outputscale.item(), length, noise, Z.detach().numpy()


def test_all_rows_as_points_give_the_exact_process():
    X, y = made(40)
    model = model_of(points=40, steps=0).fit(X, y)
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
    assert np.allclose(std, deviation * y.std(), rtol=1e-2)


def test_trained_with_few_points_against_the_closed_form():
    """Given Z and kernel, the best q has A = K_zz + K_zx K_xz / noise and mean K_xz A^-1 K_zx y."""
    X, y = made(80)
    model = model_of(points=12, steps=10).fit(X, y)
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
    assert np.allclose(std, np.sqrt(variance + noise) * y.std(), rtol=0.02)
    assert len(Z) == 12


def test_wrong_settings():
    X, y = made(5)
    for settings, message in (
        ({"points": 0}, "points: expected a whole number from 1, got 0"),
        ({"steps": -1}, "steps: expected a whole number from 0"),
        ({"smooth": 2}, "smooth: expected 0.5, 1.5, 2.5 or inf"),
    ):
        with pytest.raises(SettingError, match=message):
            model_of(**settings).fit(X, y)


def test_on_the_real_table(data_dir):
    table = ft.Table.open(data_dir / "nb201.csv.gz", space=SPACE)
    order = np.random.default_rng(0).permutation(len(table))
    test, train = order[:1000], order[2000:2172]
    y = table.column("cifar10_test_200ep")
    model = VarSparseGP(SPACE, random_state=0).fit(table.X[train], y[train])
    baseline = ft.predictors.get("n-params", space=SPACE).fit(table.X[train], y[train])
    tau = kendall(y[test], model.predict(table.X[test]))
    assert tau > kendall(y[test], baseline.predict(table.X[test])) + 0.1
