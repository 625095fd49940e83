"""`rf` against the forest of scikit-learn, in the settings of the study."""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import RandomForestRegressor

import foretell as ft
from foretell.predictors.rf import RF

SPACE = ft.spaces.get("nb201")


def made(n, seed=0):
    X = SPACE.sample(n, rng=seed)
    y = (X == 3).sum(axis=1) * (1.0 + (X[:, 3] == 1)) + 0.3 * (X[:, 0] == 2)
    return X, y + np.random.default_rng(seed).normal(0, 0.1, n)


def test_same_as_the_library():
    """Without shares of rows and features hardly anything is random: ties between splits."""
    X, y = made(120)
    encoding = ft.encodings.get("adjacency-one-hot", SPACE)
    F, z = encoding.transform(X), (y - y.mean()) / y.std()
    new = SPACE.sample(300, rng=1)
    peer = RandomForestRegressor(
        116, max_features=1.0, min_samples_leaf=2, bootstrap=False, random_state=0
    )
    expected = peer.fit(F, z).predict(encoding.transform(new)) * y.std() + y.mean()
    model = RF.paper(SPACE, random_state=0, max_features=1.0)
    found = model.fit(X, y).predict(new)
    assert np.corrcoef(found, expected)[0, 1] > 0.98
    assert np.abs(found - expected).mean() < 0.15 * y.std()
