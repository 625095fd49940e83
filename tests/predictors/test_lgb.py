"""`lgb` against LightGBM's own trainer."""

from __future__ import annotations

import numpy as np
import pytest

import foretell as ft
from foretell.metrics import kendall
from foretell.predictors.lgb import LGB

lightgbm = pytest.importorskip("lightgbm")
SPACE = ft.spaces.get("nb201")
PARAMS = {
    "objective": "regression", "learning_rate": 0.05, "num_leaves": 16, "verbosity": -1,
    "min_data_in_leaf": 5, "num_threads": 1, "deterministic": True, "force_row_wise": True,
}  # fmt: skip


def test_same_as_the_library(trees):
    """Without shares of rows and features nothing is random, and `lightgbm.train` agrees."""
    settings = {"trees": 40, "subsample": 1.0, "max_features": 1.0, "random_state": 0}
    model = LGB(SPACE, encoding="one-hot", target="value", **settings)

    def peer(F, z):
        return lightgbm.train(PARAMS, lightgbm.Dataset(F, z), num_boost_round=40)

    found, expected = trees.both(model, peer, "one-hot")
    assert np.allclose(found, expected)


def test_paper_settings_learn_too(trees):
    X, y = trees.made(300)
    model = LGB.paper(SPACE, random_state=0, trees=50)
    assert (model.leaves, model.encoding, model.trees) == (31, "adjacency-one-hot", 50)
    new, true = trees.made(500, seed=2)
    assert kendall(true, model.fit(X, y).predict(new)) > 0.6


def test_on_the_real_table(beats_size):
    beats_size(LGB(SPACE, random_state=0), 0.05, seed=0, n=172)
