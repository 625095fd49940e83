"""`xgb` against XGBoost itself, in the settings of the study."""

from __future__ import annotations

import numpy as np
import pytest

import foretell as ft
from foretell.predictors.xgb import XGB

SPACE = ft.spaces.get("nb201")
xgboost = pytest.importorskip("xgboost")


def test_same_as_the_library(trees):
    """Without shares of rows and features nothing is random."""
    peer = xgboost.XGBRegressor(
        n_estimators=30, learning_rate=0.3, max_depth=6, tree_method="hist", n_jobs=1
    )
    model = XGB.paper(SPACE, random_state=0, max_features=1.0, trees=30, subsample=1.0)
    found, expected = trees.both(model, peer.fit)
    assert np.allclose(found, expected, atol=1e-5)
