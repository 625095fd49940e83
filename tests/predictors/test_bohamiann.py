"""`bohamiann`: the sampler on Gaussians, and the network as formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import foretell as ft
from foretell.errors import SettingError
from foretell.predictors.bohamiann import Bohamiann, scores
from foretell.training.sghmc import sghmc

SPACE = ft.spaces.get("nb201")


def test_moments_of_a_gaussian():
    """400 chains on N(m, P^-1), scales 0.5 to 2.4 apart: mean and covariance within 10 percent."""
    precision = torch.tensor([[4.0, 0.5, 0.0], [0.5, 1.0, 0.2], [0.0, 0.2, 0.2]])
    centre = torch.tensor([1.0, -2.0, 0.5])

    def potential(x):
        away = x - centre
        return 0.5 * torch.einsum("ci,ij,cj->", away, precision, away)

    states = sghmc(
        potential, torch.zeros(400, 3), burn_in=400, samples=20, every=40, rate=0.1, friction=0.1,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    drawn = torch.cat(list(states))
    exact = torch.linalg.inv(precision)
    std = exact.diagonal().sqrt()
    assert torch.allclose((drawn.mean(0) - centre) / std, torch.zeros(3), atol=0.1)
    unit = torch.outer(std, std)
    assert torch.allclose(torch.cov(drawn.T) / unit, exact / unit, atol=0.1)


def test_network_is_that_of_the_formula():
    generator = torch.Generator().manual_seed(0)
    shapes = [(2, 4, 3), (2, 1, 3), (2, 3, 3), (2, 1, 3), (2, 3, 1), (2, 1, 1)]
    weights = [torch.randn(shape, generator=generator) for shape in shapes]
    F = torch.randn(5, 4, generator=generator)
    for m, found in enumerate(scores(F, weights)):
        W1, b1, W2, b2, w, b = (part[m].numpy() for part in weights)
        h = np.tanh(1.5 * F.numpy() @ W1 + b1)
        h = np.tanh(1.5 * h @ W2 / np.sqrt(3) + b2)
        assert np.allclose(found, (h @ w / np.sqrt(3) + b)[:, 0], atol=1e-5)


def test_is_less_sure_where_it_has_seen_nothing():
    X = SPACE.sample(300, rng=0)
    y = (X == 3).sum(axis=1).astype(float)
    few = X[:, 0] == 0
    model = Bohamiann(SPACE, encoding="one-hot", random_state=0).fit(X[few], y[few])
    inside, outside = (model.predict(rows, return_std=True)[1] for rows in (X[few], X[y >= 4]))
    assert outside.mean() > 1.5 * inside.mean()


def test_wrong_settings():
    X, y = SPACE.sample(5, rng=0), np.arange(5)
    with pytest.raises(SettingError, match="chains: expected a whole number from 1, got 0"):
        Bohamiann(SPACE, chains=0).fit(X, y)
    with pytest.raises(SettingError, match="rate and friction"):
        Bohamiann(SPACE, friction=0.0).fit(X, y)


def test_on_the_real_table(beats_size):
    beats_size(Bohamiann(SPACE, random_state=0), 0.05, seed=0, n=172, n_test=1000)
