"""`lgb` against LightGBM's own trainer."""

from __future__ import annotations

import numpy as np
import pytest

import foretell as ft
from foretell.metrics import kendall

lightgbm = pytest.importorskip("lightgbm")
SPACE = ft.spaces.get("nb201")


def made(n, seed=0):
    X = SPACE.sample(n, rng=seed)
    y = (X == 3).sum(axis=1) * (1.0 + (X[:, 3] == 1)) + 0.3 * (X[:, 0] == 2)
    return X, y + np.random.default_rng(seed).normal(0, 0.1, n)


def test_same_as_the_library():
    """Without shares of rows and features nothing is random, and `lightgbm.train` agrees."""
    X, y = made(120)
    settings = {"trees": 40, "subsample": 1.0, "max_features": 1.0}
    model = ft.predictors.get(
        "lgb", space=SPACE, encoding="one-hot", target="value", random_state=0, **settings
    ).fit(X, y)
    encoding = ft.encodings.get("one-hot", SPACE)
    data = lightgbm.Dataset(encoding.transform(X), (y - y.mean()) / y.std())
    params = {
        "objective": "regression", "learning_rate": 0.05, "num_leaves": 16, "verbosity": -1,
        "min_data_in_leaf": 5, "num_threads": 1, "deterministic": True, "force_row_wise": True,
    }  # fmt: skip
    booster = lightgbm.train(params, data, num_boost_round=40)
    new = SPACE.sample(300, rng=1)
    expected = booster.predict(encoding.transform(new)) * y.std() + y.mean()
    assert np.allclose(model.predict(new), expected)


def test_paper_settings_learn_too():
    X, y = made(300)
    model = type(ft.predictors.get("lgb", space=SPACE)).paper(SPACE, random_state=0, trees=50)
    assert (model.leaves, model.encoding, model.trees) == (31, "adjacency-one-hot", 50)
    new, true = made(500, seed=2)
    assert kendall(true, model.fit(X, y).predict(new)) > 0.6


def test_on_the_real_table(data_dir):
    table = ft.Table.open(data_dir / "nb201.csv.gz", space=SPACE)
    order = np.random.default_rng(0).permutation(len(table))
    test, train = order[:2000], order[2000:2172]
    y = table.column("cifar10_test_200ep")
    model = ft.predictors.get("lgb", space=SPACE, random_state=0).fit(table.X[train], y[train])
    baseline = ft.predictors.get("n-params", space=SPACE).fit(table.X[train], y[train])
    tau = kendall(y[test], model.predict(table.X[test]))
    assert tau > kendall(y[test], baseline.predict(table.X[test])) + 0.05
