"""Predictor-guided evolution: who breeds, and which of the bred are taken."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

import foretell as ft
from foretell._rng import stream
from foretell.errors import SettingError
from foretell.search.history import History
from foretell.strategies.parts.tournament import winners
from foretell.strategies.predictor_evolution import PredictorEvolution

SPACE = ft.spaces.get("nb201")


def test_the_best_foretold_child_of_the_youngest_is_taken():
    X = SPACE.sample(30, rng=0)
    y = X.sum(axis=1).astype(float)
    y[3] = 99.0  # too old to breed
    history = History.of(SPACE, X, y)
    youngest = X[-10:][np.argmax(y[-10:])]
    strategy = PredictorEvolution(10, 10, children=200, predictor=Ridge(), repeats=True)
    child = strategy.propose(SPACE, history, 1, stream(0)).X[0]
    assert (child != youngest).sum() == 1
    around = SPACE.neighbors(youngest)
    around = around[~np.isin(SPACE.row_key(around), SPACE.row_key(X))]
    model = Ridge().fit(X, y)
    assert model.predict(child[None])[0] == pytest.approx(model.predict(around).max())


def test_tournaments_are_won_as_often_as_chance_says():
    y = np.array([0.0, 3.0, 1.0, 2.0])
    won = np.bincount(winners(y, 40_000, 2, stream(0)), minlength=4) / 40_000
    # of 6 pairs the best is in 3, the second in 2 without it, the third in 1
    np.testing.assert_allclose(won, [0, 1 / 2, 1 / 6, 1 / 3], atol=4 * 0.5 / 200)


def test_it_is_better_screened_than_not():
    best = {}
    for children in (1, 30):
        found = []
        for seed in range(6):
            strategy = PredictorEvolution(20, 5, children=children, predictor="bayes-lin")
            search = ft.Search(SPACE, strategy, seed=seed)
            while search.n_rows < 50:
                X = search.ask(search.round_size)
                search.tell(X, (X == 3).sum(axis=1) - 0.01 * X[:, 0])
            found.append(search.values[20:].mean())
        best[children] = np.mean(found)
    assert best[30] > best[1] + 0.5
    with pytest.raises(SettingError, match="predictor-evolution"):
        PredictorEvolution(4, 5)
