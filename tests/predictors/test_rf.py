"""`rf` against the forest of scikit-learn, in the settings of the study."""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import RandomForestRegressor

import foretell as ft
from foretell.predictors.rf import RF

SPACE = ft.spaces.get("nb201")


def test_same_as_the_library(trees):
    """Without shares of rows and features hardly anything is random: ties between splits."""
    peer = RandomForestRegressor(
        116, max_features=1.0, min_samples_leaf=2, bootstrap=False, random_state=0
    )
    found, expected = trees.both(RF.paper(SPACE, random_state=0, max_features=1.0), peer.fit)
    assert np.corrcoef(found, expected)[0, 1] > 0.98
    assert np.abs(found - expected).mean() < 0.15
