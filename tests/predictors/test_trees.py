"""`rf`, `xgb` and `ngb` against the libraries themselves, in the settings of the study."""

from __future__ import annotations

import numpy as np
import pytest

import foretell as ft

SPACE = ft.spaces.get("nb201")


def made(n, seed=0):
    X = SPACE.sample(n, rng=seed)
    y = (X == 3).sum(axis=1) * (1.0 + (X[:, 3] == 1)) + 0.3 * (X[:, 0] == 2)
    return X, y + np.random.default_rng(seed).normal(0, 0.1, n)


def of_the_library(name, X, y, new):
    encoding = ft.encodings.get("adjacency-one-hot", SPACE)
    F, z, G = encoding.transform(X), (y - y.mean()) / y.std(), encoding.transform(new)
    if name == "rf":
        from sklearn.ensemble import RandomForestRegressor

        model = RandomForestRegressor(
            116, max_features=1.0, min_samples_leaf=2, bootstrap=False, random_state=0
        )
    elif name == "xgb":
        xgboost = pytest.importorskip("xgboost")
        model = xgboost.XGBRegressor(
            n_estimators=30, learning_rate=0.3, max_depth=6, tree_method="hist", n_jobs=1
        )
    else:
        ngboost = pytest.importorskip("ngboost")
        from sklearn.tree import DecisionTreeRegressor

        base = DecisionTreeRegressor(max_depth=6, random_state=0)
        model = ngboost.NGBRegressor(
            Base=base, n_estimators=30, learning_rate=0.0812705, verbose=False
        )
    return model.fit(F, z).predict(G) * y.std() + y.mean()


@pytest.mark.parametrize("name", ["rf", "xgb", "ngb"])
def test_same_as_the_library(name):
    """Without shares of rows and features hardly anything is random: ties between splits."""
    X, y = made(120)
    new = SPACE.sample(300, rng=1)
    expected = of_the_library(name, X, y, new)
    changes = {"trees": 30, "subsample": 1.0} if name != "rf" else {}
    kind = type(ft.predictors.get(name, space=SPACE))
    model = kind.paper(SPACE, random_state=0, max_features=1.0, **changes)
    found = model.fit(X, y).predict(new)
    if name == "xgb":
        assert np.allclose(found, expected, atol=1e-5)
    else:
        assert np.corrcoef(found, expected)[0, 1] > 0.98
        assert np.abs(found - expected).mean() < 0.15 * y.std()


def test_no_deviation_without_bounds():
    """Deep trees on few rows, some of them far off: boosting alone overflows."""
    pytest.importorskip("ngboost")
    X = SPACE.sample(78, rng=0)
    y = np.random.default_rng(0).standard_cauchy(78)
    kind = type(ft.predictors.get("ngb", space=SPACE))
    _, std = kind.paper(SPACE, random_state=0).fit(X, y).predict(SPACE.sample(500, 1), True)
    assert std.max() <= 10.001 * y.std()
