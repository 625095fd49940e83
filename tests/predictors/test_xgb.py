"""`xgb` against XGBoost itself, in the settings of the study."""

from __future__ import annotations

import numpy as np
import pytest

import foretell as ft
from foretell.predictors.xgb import XGB

SPACE = ft.spaces.get("nb201")
xgboost = pytest.importorskip("xgboost")


def made(n, seed=0):
    X = SPACE.sample(n, rng=seed)
    y = (X == 3).sum(axis=1) * (1.0 + (X[:, 3] == 1)) + 0.3 * (X[:, 0] == 2)
    return X, y + np.random.default_rng(seed).normal(0, 0.1, n)


def test_same_as_the_library():
    """Without shares of rows and features nothing is random."""
    X, y = made(120)
    encoding = ft.encodings.get("adjacency-one-hot", SPACE)
    F, z = encoding.transform(X), (y - y.mean()) / y.std()
    new = SPACE.sample(300, rng=1)
    peer = xgboost.XGBRegressor(
        n_estimators=30, learning_rate=0.3, max_depth=6, tree_method="hist", n_jobs=1
    )
    expected = peer.fit(F, z).predict(encoding.transform(new)) * y.std() + y.mean()
    model = XGB.paper(SPACE, random_state=0, max_features=1.0, trees=30, subsample=1.0)
    found = model.fit(X, y).predict(new)
    assert np.allclose(found, expected, atol=1e-5)
