"""PNAS: stages by hand; who is looked at, who is taken, what is expanded."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

import foretell as ft
from foretell.errors import SettingError
from foretell.strategies.pnas import PNAS

SPACE = ft.spaces.get("nb201")
PLAIN = SPACE.baseline()[1]


def value(X):
    return (X == 3).sum(axis=1) + 0.1 * (X == 2).sum(axis=1)


def far(X):
    return (X != PLAIN).sum(axis=1)


def test_stages_go_outwards_from_the_plain_row():
    search = ft.Search(SPACE, PNAS(width=10, predictor=Ridge(), repeats=True), seed=0)
    distances = []
    while search.n_rows < 61:
        X = search.ask(search.round_size)
        distances += far(X).tolist()
        search.tell(X, value(X))
    assert distances == [0] + [1] * 10 + [2] * 10 + [3] * 10 + [4] * 10 + [5] * 10 + [6] * 10


def test_a_stage_takes_the_best_foretold_of_all_extensions_of_the_kept():
    search = ft.Search(SPACE, PNAS(width=6, predictor=Ridge(1e-6), repeats=True), seed=1)
    X = search.ask(search.round_size)
    search.tell(X, X.sum(axis=1))  # linear in the row, so the predictor is exact
    kept = X[1:]
    extensions = np.unique(np.concatenate([SPACE.neighbors(x) for x in kept]), axis=0)
    extensions = extensions[far(extensions) == 2]
    model = Ridge(1e-6).fit(X, X.sum(axis=1))
    exact = np.sort(model.predict(extensions))[::-1][:6]
    got = search.ask(search.round_size)
    np.testing.assert_allclose(model.predict(got), exact)


def test_a_stage_that_has_few_rows_takes_all_and_goes_on():
    own = ft.Space.from_choices({"a": [1, 2, 3], "b": [1, 2, 3]}, build=print)
    search = ft.Search(own, PNAS(width=6, predictor=Ridge()), seed=0)
    while search.n_rows < own.size:
        X = search.ask(2)
        search.tell(X, X.sum(axis=1))
    plain = own.baseline()[1]
    assert (plain != search.history.X).sum(axis=1).tolist() == [0, 1, 1, 1, 1, 2, 2, 2, 2]
    with pytest.raises(SettingError, match="pnas, width"):
        PNAS(width=1)
