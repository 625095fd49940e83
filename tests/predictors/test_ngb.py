"""`ngb` against NGBoost itself, in the settings of the study; bounded deviations."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.tree import DecisionTreeRegressor

import foretell as ft
from foretell.predictors.ngb import NGB

SPACE = ft.spaces.get("nb201")
ngboost = pytest.importorskip("ngboost")


def test_same_as_the_library(trees):
    """Without shares of rows and features hardly anything is random: ties between splits."""
    base = DecisionTreeRegressor(max_depth=6, random_state=0)
    peer = ngboost.NGBRegressor(Base=base, n_estimators=30, learning_rate=0.0812705, verbose=False)
    model = NGB.paper(SPACE, random_state=0, max_features=1.0, trees=30, subsample=1.0)
    found, expected = trees.both(model, peer.fit)
    assert np.corrcoef(found, expected)[0, 1] > 0.98
    assert np.abs(found - expected).mean() < 0.15


def test_no_deviation_without_bounds():
    """Deep trees on few rows, some of them far off: boosting alone overflows."""
    X = SPACE.sample(78, rng=0)
    y = np.random.default_rng(0).standard_cauchy(78)
    _, std = NGB.paper(SPACE, random_state=0).fit(X, y).predict(SPACE.sample(500, 1), True)
    assert std.max() <= 10.001 * y.std()


def test_the_quick_normal_is_ngboosts_own():
    from ngboost.distns import Normal
    from ngboost.manifold import manifold
    from ngboost.scores import LogScore

    from foretell.predictors.parts.normal import QuickNormal

    rng = np.random.default_rng(0)
    params, y = rng.normal(size=(2, 30)), rng.normal(size=30)
    theirs, ours = (manifold(LogScore, one)(params) for one in (Normal, QuickNormal))
    np.testing.assert_allclose(ours.score(y), theirs.score(y), rtol=1e-12)
    for natural in (True, False):
        expected = theirs.grad(y, natural=natural)
        np.testing.assert_allclose(ours.grad(y, natural=natural), expected, rtol=1e-10)
    X = rng.normal(size=(60, 3))
    means = [
        ngboost.NGBRegressor(
            Dist=one,
            Base=DecisionTreeRegressor(max_depth=2, random_state=0),
            n_estimators=30,
            random_state=0,
            verbose=False,
        )
        .fit(X, X[:, 0])
        .predict(X)
        for one in (Normal, QuickNormal)
    ]
    np.testing.assert_allclose(means[1], means[0], rtol=1e-6)
