"""Bayesian linear regression against the dense inverse and the density of the targets."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from foretell.predictors.parts.bayes import posterior


def test_posterior_against_the_dense_inverse():
    rng = np.random.default_rng(0)
    F, G = rng.normal(size=(30, 6)) * [1, 2, 3, 1, 1, 0] + 1, rng.normal(size=(9, 6))
    t = F @ rng.normal(size=6) + 0.3 * rng.normal(size=30) + 4
    found = posterior(F, t)
    std = F[:, :5].std(axis=0)
    Z, Y = ((rows[:, :5] - F[:, :5].mean(axis=0)) / std / np.sqrt(5) for rows in (F, G))
    covariance = np.linalg.inv(Z.T @ Z / found.noise + np.eye(5) / found.signal)
    mean = covariance @ Z.T @ (t - t.mean()) / found.noise
    np.testing.assert_allclose(found.mean(G), Y @ mean + t.mean(), rtol=1e-8)
    np.testing.assert_allclose(found.variance(G), ((Y @ covariance) * Y).sum(axis=1), rtol=1e-6)
    assert 0.04 < found.noise < 0.25  # 0.09 was drawn


def test_evidence_is_the_density_of_the_targets():
    """No other pair of variances near the chosen one explains the targets better."""
    rng = np.random.default_rng(1)
    F = rng.normal(size=(25, 3))
    t = F @ [1.0, -1.0, 0.5] + 0.5 * rng.normal(size=25)
    found = posterior(F, t)
    Z = (F - F.mean(axis=0)) / F.std(axis=0) / np.sqrt(3)

    def evidence(signal, noise):
        return multivariate_normal(np.zeros(25), signal * Z @ Z.T + noise * np.eye(25)).logpdf(
            t - t.mean()
        )

    best = evidence(found.signal, found.noise)
    for a, b in itertools.product([0.5, 1.0, 2.0], repeat=2):
        assert evidence(a * found.signal, b * found.noise) < best + 0.2


@pytest.mark.parametrize("wide", [5, 40])
def test_posterior_survives_few_rows_and_equal_targets(wide):
    rng = np.random.default_rng(0)
    for n in (1, 2, 3):
        F = rng.normal(size=(n, wide))
        for t in (np.zeros(n), np.arange(n) + 0.5):
            found = posterior(F, t)
            assert np.isfinite(found.mean(F)).all()
            assert np.isfinite(found.variance(F)).all()
