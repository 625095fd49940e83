"""Deviations are those of measurements: noise of the targets widens them."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

import foretell as ft
from foretell import _catalog
from foretell.metrics import coverage

SPACE = ft.spaces.get("nb201")
WITH_NOISE = (
    "auto", "bananas", "bayes-lin", "bohamiann", "bonas", "dngo", "gcn", "gp", "gp-wl",
    "nasbot-gp", "sparse-gp", "var-sparse-gp",
)  # fmt: skip


@pytest.mark.parametrize("name", WITH_NOISE)
def test_nine_of_ten_new_measurements_are_inside(name):
    """Half of the variance is noise; intervals of the noiseless value hold .4 to .7 of them."""
    row = _catalog.row("predictor", name)
    if not all(find_spec(package) for package in row.packages):
        pytest.skip(f"needs {', '.join(row.packages)}")
    settings = {"candidates": ("gp", "bayes-lin")} if name == "auto" else {}
    inside = []
    for seed in range(4):
        X = SPACE.sample(500, rng=seed)
        y = (X == 3) @ np.array([1.0, 0.5, 1.0, 2.0, 0.5, 1.0])
        y += np.random.default_rng(seed).normal(0, y.std(), 500)
        model = ft.predictors.get(name, space=SPACE, random_state=0, **settings)
        mean, std = model.fit(X[:100], y[:100]).predict(X[100:], return_std=True)
        inside.append(coverage(y[100:], mean, std, level=0.9))
    assert 0.79 < np.mean(inside) < 0.97
