"""The two stages: the threshold against every split, what they reject, few rows."""

from __future__ import annotations

import numpy as np
import pytest

import foretell as ft
from foretell.errors import NoUncertaintyError, SettingError
from foretell.metrics import kendall
from foretell.predictors.gcn_two_stage import TwoStageGCN, _otsu

NB201 = ft.spaces.get("nb201")
FAST = {"hidden": 16, "head": 16, "members": 2, "epochs": 10, "min_steps": 10}


def test_otsu_against_every_split():
    rng = np.random.default_rng(0)
    y = np.concatenate([rng.normal(10, 1, 5), rng.normal(90, 2, 30)]).round(1)
    within = {
        t: (y < t).sum() * y[y < t].var() + (y >= t).sum() * y[y >= t].var()
        for t in np.unique(y)[1:]
    }
    assert _otsu(y) == min(within, key=within.get)


def test_few_equal_and_repeated_rows():
    T = NB201.sample(30, rng=9)
    for X, y in [
        (T[:1], [3.0]),
        (T[:2], [1.0, 2.0]),
        (T[:5], [7.0] * 5),
        (T[[0, 0, 0, 1]], [1.0, 2.0, 3.0, 1.0]),
        (T[[0] * 6], [1.0, 2.0, 3.0, 1.0, 5.0, 6.0]),
    ]:
        model = TwoStageGCN(NB201, random_state=0, settings=FAST).fit(X, y)
        mean = model.predict(T)
        assert np.isfinite(mean).all()
        if len(set(y)) == 1:
            np.testing.assert_allclose(mean, y[0])
        assert model.predict(T[:0]).shape == (0,)


@pytest.mark.parametrize("settings", [{"loss": "bce"}, {"width": 3}])
def test_wrong_settings(settings):
    with pytest.raises(SettingError, match="settings: expected"):
        TwoStageGCN(NB201, settings=settings).fit(NB201.sample(4, rng=0), np.arange(4.0))


def test_both_stages_have_the_settings():
    X = NB201.sample(40, rng=0)
    y = np.where((X == 3).any(axis=1), 90.0 + (X == 3).sum(axis=1), 10.0)
    model = TwoStageGCN.paper(NB201, random_state=0)
    assert model.settings["loss"] == "mse"
    model.settings["epochs"] = 2
    model.fit(X, y)
    same = {"hidden": 144, "members": 1, "epochs": 2}
    assert model.classifier_.get_params().items() >= (same | {"loss": "bce"}).items()
    assert model.regressor_.get_params().items() >= (same | {"loss": "mse"}).items()


def test_two_stages_reject_what_is_broken(protocol):
    X, y, T, truth = protocol(seed=101, n=172)
    model = TwoStageGCN(NB201, random_state=0).fit(X, y)
    mean = model.predict(T)
    broken = truth < model.threshold_
    rejected = mean < model.threshold_ - model.margin_ * 0.999
    assert 0.02 < broken.mean() < 0.5
    assert (broken == rejected).mean() > max(broken.mean(), 1 - broken.mean()) + 0.02
    assert mean[rejected].max() < mean[~rejected].min()
    assert kendall(truth, mean) > 0.5


def test_it_says_that_it_has_no_deviation():
    """That of the regressor knows nothing of what the classifier takes for broken, or not."""
    X = NB201.sample(12, rng=0)
    model = TwoStageGCN(NB201, random_state=0, settings=FAST).fit(X, np.arange(12.0))
    with pytest.raises(NoUncertaintyError, match="classifier leaves no rows out"):
        model.predict(X, return_std=True)
