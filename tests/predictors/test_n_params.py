"""`n-params` against least squares on the logarithm of the number of parameters."""

from __future__ import annotations

import numpy as np

import foretell as ft

NB201 = ft.spaces.get("nb201")


def test_line_is_least_squares_where_size_helps():
    """Oracle: numpy.polyfit of the targets on log(1 + parameters)."""
    X = NB201.sample(40, rng=0)
    size = np.log1p(NB201.costs(X).params)
    y = 3 * size + np.random.default_rng(0).normal(size=40)
    line = np.polyval(np.polyfit(size, y, 1), size)
    assert np.allclose(
        ft.predictors.get("n-params", space=NB201).fit(X, y).predict(X), line, rtol=1e-4
    )
