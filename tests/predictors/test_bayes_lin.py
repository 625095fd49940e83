"""`bayes-lin` against scikit-learn's Gaussian process with the same polynomial kernel."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, WhiteKernel

import foretell as ft
from foretell.encodings.onehot import OneHot
from foretell.errors import SettingError
from foretell.metrics import kendall
from foretell.predictors.bayes_lin import _BIASES, _NOISES, BayesLinReg

SPACE = ft.spaces.get("nb201")


def made(n, degree=2, seed=0):
    X = SPACE.sample(n, rng=seed)
    y = (X == 3).sum(axis=1) * (1.0 + (X[:, 3] == 1)) + 0.3 * (X[:, 0] == 2)
    y += np.random.default_rng(seed).normal(0, 0.1, n)
    return X, y, BayesLinReg(SPACE, degree, "one-hot", "value").fit(X, y)


def reference(X, degree, bias, signal, noise):
    F = OneHot(SPACE).transform(X).astype(float)
    varies = F.std(axis=0) > 0
    centre, scale = F.mean(axis=0)[varies], F.std(axis=0)[varies] * np.sqrt(varies.sum())

    def features(rows):
        return (OneHot(SPACE).transform(rows)[:, varies] - centre) / scale

    kernel = ConstantKernel(signal) * DotProduct(np.sqrt(bias)) ** degree + WhiteKernel(noise)
    return features, GaussianProcessRegressor(kernel, optimizer=None, alpha=0.0)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_posterior_is_that_of_the_reference(degree):
    X, y, model = made(60, degree)
    scale = y.std()
    products = model.features_ @ model.features_.T
    K = (model.bias_ + products) ** degree
    noise = float(np.median(np.diag(np.linalg.inv(model.inverse_) - K)))
    features, gp = reference(X, degree, model.bias_, model.signal_, model.signal_ * noise)
    gp.fit(features(X), (y - y.mean()) / scale)
    new = SPACE.sample(200, rng=1)
    mean, std = gp.predict(features(new), return_std=True)
    ours, our_std = model.predict(new, return_std=True)
    assert np.allclose(ours, mean * scale + y.mean(), rtol=1e-5, atol=1e-6)
    std = np.sqrt(model.shrink_ * std**2 + model.widen_)
    assert np.allclose(our_std, std * scale, rtol=1e-4)


def test_no_other_point_of_the_grid_has_more_evidence():
    X, y, model = made(60)
    z = (y - y.mean()) / y.std()
    products = model.features_ @ model.features_.T

    def evidence(bias, share):
        K = (bias + products) ** 2
        noise = share * np.linalg.eigvalsh(K).mean()
        C = K + noise * np.eye(len(z))
        signal = float(z @ np.linalg.solve(C, z)) / len(z)
        features, gp = reference(X, 2, bias, signal, signal * noise)
        return gp.fit(features(X), z).log_marginal_likelihood(gp.kernel.theta)

    grid = {(bias, share): evidence(bias, share) for bias in _BIASES for share in _NOISES[::3]}
    K = (model.bias_ + products) ** 2
    noise = float(np.median(np.diag(np.linalg.inv(model.inverse_) - K)))
    chosen = evidence(model.bias_, noise / np.linalg.eigvalsh(K).mean())
    assert chosen >= max(grid.values()) - 1e-6


def test_finds_a_product_of_decisions():
    X, y, model = made(150)
    new = SPACE.sample(1000, rng=2)
    true = (new == 3).sum(axis=1) * (1.0 + (new[:, 3] == 1)) + 0.3 * (new[:, 0] == 2)
    linear = BayesLinReg(SPACE, 1, "one-hot", "value").fit(X, y)
    assert kendall(true, model.predict(new)) > kendall(true, linear.predict(new)) + 0.03


def test_goes_on_beyond_what_it_has_seen():
    X = SPACE.sample(300, rng=0)
    y = (X == 3).sum(axis=1).astype(float)
    few = y <= 3
    model = BayesLinReg(SPACE, 2, "one-hot", "value").fit(X[few], y[few])
    assert model.predict([[3] * 6])[0] > 4.5


def test_wrong_degree():
    for degree, says in (
        (0, "degree: expected a whole number from 1, got 0"),
        (5, "1 to 4, got 5"),
    ):
        with pytest.raises(SettingError, match=says):
            BayesLinReg(SPACE, degree=degree).fit(SPACE.sample(5, rng=0), np.arange(5))


def test_on_the_real_table(beats_size):
    beats_size(BayesLinReg(SPACE, random_state=0), 0.05, seed=0, n=172)


def test_has_two_names_and_is_listed_once():
    model = ft.predictors.get("bayes-lin", space=SPACE)
    assert type(model) is type(ft.predictors.get("bayes-lin", space=SPACE)) is BayesLinReg
    assert [n for n in ft.predictors.names() if n.startswith("bayes-lin")] == ["bayes-lin"]
