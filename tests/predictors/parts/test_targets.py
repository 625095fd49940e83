from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from foretell.errors import SettingError
from foretell.predictors.parts.targets import Scale, Scales

TARGETS = st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 3)), min_size=1, max_size=30)


@pytest.mark.parametrize("target", ["rank", "value"])
@given(y=TARGETS, at=st.lists(st.floats(-5, 5), min_size=2, max_size=9, unique=True))
@settings(max_examples=80, deadline=None)
def test_increasing_and_back(target, y, at):
    scale = Scale.of(np.array(y), target)
    assert np.allclose(scale.value(scale.score(np.array(y))), y, rtol=1e-6, atol=1e-6)
    points = np.sort(np.round(at, 3))
    points = points[np.append(True, np.diff(points) > 0)]
    assert (np.diff(scale.value(points)) > 0).all()


def test_ranks():
    """Against scipy: centred mid-ranks, scaled so that many different targets have variance 1."""
    y = np.array([5.0, 1.0, 1.0, 900.0])
    expected = np.sqrt(12) * ((rankdata(y) - 0.5) / 4 - 0.5)
    assert np.allclose(Scale.of(y, "rank").score(y), expected)
    many = np.random.default_rng(0).normal(size=1000) ** 3
    assert Scale.of(many, "rank").score(many).std() == pytest.approx(1.0, abs=1e-3)


def test_values_are_standardised():
    y = np.array([1.0, 2.0, 6.0])
    assert np.allclose(Scale.of(y, "value").score(y), (y - y.mean()) / y.std())
    assert np.allclose(Scale.of(y, "value").spread(np.zeros(3), np.full(3, 2.0)), 2 * y.std())


def test_bad_target():
    with pytest.raises(SettingError, match="target"):
        Scale.of(np.ones(2), "log")


@pytest.mark.parametrize("target", ["rank", "value", "between"])
@given(
    y=st.lists(st.integers(-30, 30).map(float), min_size=5, max_size=20),
    group=st.integers(2, 20),
    at=st.floats(-4, 4),
)
@settings(max_examples=80, deadline=None)
def test_a_scale_for_each_row_against_one_made_for_it(target, y, group, at):
    """Whole arrays against a `Scale` for each row whose knots are what the other groups have."""
    y, groups = np.array(y), np.arange(len(y)) % group
    whole = Scale.of(y, target)
    alone = []
    for one in groups:
        stays = np.isin(whole.values, y[groups != one]) | ~np.isin(whole.values, y)
        stays |= stays.sum() < 2
        alone.append(Scale(whole.scores[stays], whole.values[stays]))
    scores, std = whole.score(y) + at / 10, np.full(len(y), abs(at) + 0.1)
    for ours in (Scales.without(whole, y, groups), Scales.stack(alone)):
        for method, rest in (("value", ()), ("spread", (std,))):
            expected = [
                getattr(scale, method)(scores[i : i + 1], *(part[i : i + 1] for part in rest))[0]
                for i, scale in enumerate(alone)
            ]
            assert np.allclose(getattr(ours, method)(scores, *rest), expected, atol=1e-9)
