"""`mean`: the mean of the targets, and their deviation."""

from __future__ import annotations

import numpy as np

import foretell as ft

NB201 = ft.spaces.get("nb201")


def test_mean():
    X = NB201.sample(3, rng=0)
    mean, std = ft.predictors.get("mean", space=NB201).fit(X, [1, 2, 6]).predict(X, return_std=True)
    assert np.array_equal(mean, [3, 3, 3])
    assert np.allclose(std, np.std([1, 2, 6]))
