from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from foretell.metrics import bounds
from foretell.runs.bounds import same_unit, within
from foretell.training import scores

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("metric", ["val_acc", "test_acc", "val_r2", "val_macro_f1"])
@pytest.mark.parametrize(("low", "high"), [(0.3, 0.9), (0.0, 1.0), (0.93, 0.999)])
def test_bounded_in_the_same_order(metric, low, high):
    """Every prediction is a value that the metric can have; no two change places."""
    measured = RNG.uniform(low, high, 30)
    mean = np.sort(RNG.normal((low + high) / 2, high - low, 400))
    out, std = within(metric, measured, mean, np.full(400, 0.08))
    least, most = bounds(metric)
    assert (out >= least).all()
    assert (out <= most).all()
    assert (np.diff(out) >= 0).all()
    inside = (mean > measured.min()) & (mean < min(measured.max(), 0.99))
    inside &= mean > (0.01 if least == 0 else -np.inf)
    np.testing.assert_array_equal(out[inside], mean[inside])
    assert (std <= 0.08 + 1e-12).all()
    near = (mean > -0.1) & (mean < high + 0.05)
    assert (np.diff(out[near]) > 0).all()


def test_beyond_the_measured_it_is_a_line_on_the_link():
    measured, mean = np.array([0.4, 0.6, 0.9]), np.array([0.2, 0.35, 0.95, 1.025])
    out, std = within("val_acc", measured, mean, np.full(4, 0.08))
    ends = np.array([0.4, 0.4, 0.9, 0.9])
    z = logit(ends) + (mean - ends) / (ends * (1 - ends))
    np.testing.assert_allclose(out, expit(z))
    step = 1e-6
    slope = (within("val_acc", measured, mean + step)[0] - out) / step
    np.testing.assert_allclose(std, 0.08 * slope, rtol=1e-4)
    r2, _ = within("val_r2", measured, np.array([-0.5, 1.0, 1.2]))
    np.testing.assert_allclose(-np.log(1 - r2[1:]), -np.log(0.1) + np.array([0.1, 0.3]) / 0.1)
    assert r2[0] == -0.5


def test_scores_and_metrics_without_bounds_stay():
    measured, off = np.array([0.5, 0.6, 0.7]), np.array([-30.0, 4.0, 90.0])
    assert not same_unit(off, measured)
    assert within("val_acc", measured, off)[0] is off
    assert within("speed", measured, np.array([5.0]))[0].tolist() == [5.0]
    assert within("val_acc", measured, np.zeros(0))[0].tolist() == []


@pytest.mark.parametrize("kind", sorted({one for kinds in scores.KINDS.values() for one in kinds}))
def test_nothing_is_foretold_that_a_metric_of_a_task_cannot_be(kind):
    """Of several labels, too: all but the error in the target's own unit end at 1."""
    measured, mean = np.array([0.9, 0.95, 0.99]), np.array([0.94, 1.02, 1.1])
    out, _ = within(f"val_{kind}", measured, mean)
    assert (out < 1).all() == (kind != "rmse")
    assert (np.diff(out) > 0).all()
