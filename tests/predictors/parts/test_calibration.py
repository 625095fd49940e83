"""How wide intervals have to be, against numpy's quantile, and what leaving a row out means."""

from __future__ import annotations

import numpy as np
import pytest

from foretell.predictors.parts.calibration import by_folds, unaware, widening
from foretell.predictors.parts.targets import Scale, Scales

STANDARD = Scale(np.array([-1.0, 1.0]), np.array([-1.0, 1.0]))


@pytest.mark.parametrize("size", [1e-3, 0.1, 30.0])
@pytest.mark.parametrize("chosen", [0.0, 6.0])
def test_constant_deviations_are_a_quantile_of_the_errors(size, chosen):
    y = size * np.random.default_rng(0).standard_t(4, 40)
    a, b = widening(y, np.zeros(40), np.zeros(40), STANDARD, chosen)
    quantile = np.quantile(np.abs(y), 0.9 * 41 / 40) * np.sqrt(40 / (40 - chosen))
    assert a == 1.0
    assert np.sqrt(b) == pytest.approx(quantile / 1.6448536, rel=1e-3)


def test_deviations_that_are_too_wide_are_scaled():
    rng = np.random.default_rng(0)
    own = rng.uniform(0.5, 2.0, 60)
    y = rng.normal(size=60) * own
    a, b = widening(y, np.zeros(60), 25.0 * own**2, STANDARD)
    ratio = np.quantile(np.abs(y) / own, 0.9 * 61 / 60) / 1.6448536
    assert b == 0.0
    assert 5.0 * np.sqrt(a) == pytest.approx(ratio, rel=1e-3)


def test_half_of_the_rows_at_most_count_as_used_up():
    y = np.random.default_rng(0).normal(size=12)
    ten, more = (widening(y, np.zeros(12), np.zeros(12), STANDARD, p) for p in (6.0, 60.0))
    assert ten == more


def test_many_rows_share_the_scale():
    y = np.arange(600.0)
    scale = Scale.of(y, "rank")
    assert unaware(scale, y) is scale
    assert isinstance(unaware(Scale.of(y[:100], "rank"), y[:100]), Scales)


def held(aware: bool, n: int = 20) -> float:
    """Share of rows to come in intervals of a method that knows their score but for some noise."""
    rng, shares = np.random.default_rng(0), []
    for _ in range(300):
        truth = rng.normal(size=n + 500)
        y = np.exp(2.0 * (truth + 0.5 * rng.normal(size=n + 500)))  # a few lie far out
        scale = Scale.of(y[:n], "rank")
        score = 1.7 * np.tanh(truth)
        known = scale if aware else unaware(scale, y[:n])
        _, b = widening(y[:n], score[:n], np.zeros(n), known)
        std = scale.spread(score[n:], np.full(500, np.sqrt(b)))
        shares.append((np.abs(y[n:] - scale.value(score[n:])) <= 1.6448536 * std).mean())
    return float(np.mean(shares))


def test_a_row_that_is_left_out_has_not_told_where_it_lies():
    """What is beyond the largest target is nearer to it if that target is in the scale already."""
    aware, without = held(True), held(False)
    assert 0.88 <= without <= 0.95
    assert aware < without - 0.01


def test_a_fold_does_not_tell_where_its_rows_lie():
    """Each fold is judged on a scale without its targets, not only its fit."""
    y = np.random.default_rng(3).lognormal(sigma=2.0, size=24)
    scale, folds = Scale.of(y, "rank"), np.zeros(24, dtype=int)
    count = iter(range(4))

    def said(out):
        folds[out] = next(count)
        return np.zeros(out.sum()), np.full(out.sum(), 0.01)

    found = by_folds(y, scale, np.random.default_rng(0), said)
    alone = Scales.without(scale, y, folds)
    assert found == widening(y, np.zeros(24), np.full(24, 0.01), alone)
    assert found != widening(y, np.zeros(24), np.full(24, 0.01), scale)
