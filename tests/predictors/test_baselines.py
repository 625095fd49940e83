from __future__ import annotations

import numpy as np
import pytest

import foretell as ft

NB201 = ft.spaces.get("nb201")


@pytest.mark.parametrize(("name", "cost"), [("n-params", "params"), ("n-flops", "flops")])
@pytest.mark.parametrize("sign", [1.0, -1.0, 0.0])
def test_order_is_that_of_the_cost_whatever_the_targets_say(name, cost, sign):
    X = NB201.sample(60, rng=0)
    true = getattr(NB201.costs(X), cost)
    predicted = ft.predictors.get(name, space=NB201).fit(X[:20], sign * true[:20]).predict(X)
    assert ft.metrics.kendall(true, predicted) == pytest.approx(1.0)


def test_line_is_least_squares_where_size_helps():
    """Oracle: numpy.polyfit of the targets on log(1 + parameters)."""
    X = NB201.sample(40, rng=0)
    size = np.log1p(NB201.costs(X).params)
    y = 3 * size + np.random.default_rng(0).normal(size=40)
    line = np.polyval(np.polyfit(size, y, 1), size)
    assert np.allclose(
        ft.predictors.get("n-params", space=NB201).fit(X, y).predict(X), line, rtol=1e-4
    )


def test_mean():
    X = NB201.sample(3, rng=0)
    mean, std = ft.predictors.get("mean", space=NB201).fit(X, [1, 2, 6]).predict(X, return_std=True)
    assert np.array_equal(mean, [3, 3, 3])
    assert np.allclose(std, np.std([1, 2, 6]))
