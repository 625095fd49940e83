"""`bo`: what is fitted, where candidates come from, which are taken; and its recipes."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import BayesianRidge, LinearRegression

import foretell as ft
from foretell._rng import stream
from foretell.acquisition import expected_improvement
from foretell.errors import SettingError
from foretell.predictors.base import Predictor
from foretell.search.history import History
from foretell.strategies.bo import BO
from foretell.strategies.parts.guided import consensus, evolved, opening

SPACE = ft.spaces.get("nb201")
ALL = np.concatenate(list(SPACE.enumerate()))


def known(n=30, seed=0):
    X = SPACE.sample(n, rng=seed)
    return History.of(SPACE, X, (X == 3).sum(axis=1) + 0.1 * X[:, 0])


class Spy(Predictor):
    """Mean: how many options are 3. Deviation: by the first decision. Remembers its fits."""

    has_std = True
    fits: list

    def __init__(self, space, fits, random_state=None):
        self.space = space
        self.fits = fits
        self.random_state = random_state

    def __sklearn_clone__(self):
        return Spy(self.space, self.fits)

    def _fit(self, X, y, rng):
        self.fits.append((X, y))

    def _predict(self, X):
        return (X == 3).sum(axis=1).astype(float), 0.1 + X[:, 0].astype(float)


def test_the_whole_space_by_expected_improvement():
    history = known()
    got = BO(2, Spy(SPACE, []), repeats=True).propose(SPACE, history, 5, stream(0)).X
    mean, std = Spy(SPACE, [])._predict(ALL)
    new = ~np.isin(SPACE.row_key(ALL), SPACE.row_key(history.X))
    exact = expected_improvement(mean, std, history.y.max())[new]
    mean, std = Spy(SPACE, [])._predict(got)
    mine = expected_improvement(mean, std, history.y.max())
    np.testing.assert_allclose(mine, np.sort(exact)[::-1][:5])


def test_a_target_takes_the_place_of_the_best():
    history = known()
    at = {}
    for target in (None, 100.0):
        strategy = BO(2, Spy(SPACE, []), acquisition="pi", target=target)
        at[target] = strategy.propose(SPACE, history, 3, stream(0)).X
    assert (at[100.0][:, 0] == 4).all(), "far away only the deviation counts"
    assert (at[None][:, 0] < 4).any()


def test_rows_that_are_out_count_with_what_is_said_of_them():
    fits = []
    history = known()
    out = SPACE.sample(60, rng=9)
    out = out[~np.isin(SPACE.canonical(out), SPACE.canonical(history.X))][:3]
    BO(2, Spy(SPACE, fits)).propose(SPACE, history.with_pending(out), 2, stream(0))
    (X, y), (more, believed) = fits
    assert np.array_equal(more, np.concatenate([X, out]))
    assert np.array_equal(believed, np.concatenate([y, (out == 3).sum(axis=1)]))


def test_a_batch_is_shared_by_fits():
    fits = []
    BO(2, Spy(SPACE, fits), fits=3).propose(SPACE, known(), 6, stream(0))
    assert [len(y) for _, y in fits] == [30, 30, 32, 30, 34]


def test_a_thompson_sample_is_fitted_on_a_bootstrap():
    fits, history = [], known()
    BO(2, Spy(SPACE, fits), acquisition="ts").propose(SPACE, history, 2, stream(0))
    ((X, y),) = fits
    assert len(y) == 30
    assert len(np.unique(SPACE.row_key(X))) < 25
    assert np.isin(SPACE.row_key(X), SPACE.row_key(history.X)).all()
    # any regressor has one, with an uncertainty or without
    strategy = BO(2, LinearRegression(), acquisition="ts")
    rows = [strategy.propose(SPACE, history, 1, stream(seed)).X[0].tolist() for seed in range(5)]
    assert len({tuple(row) for row in rows}) > 1


def test_candidates_are_mutants_of_the_best():
    history = known(60)
    strategy = BO(2, Spy(SPACE, []), candidates="mutants", parents=2, repeats=True, pool=12)
    got = strategy.propose(SPACE, history, 5, stream(0)).X
    best = history.X[np.argsort(-history.y, kind="stable")[:2]]
    near = (got[:, None] != best).sum(axis=2).min(axis=1)
    assert near.tolist() == [1] * 5


def test_an_inner_evolution_finds_what_its_score_likes_best():
    def score(X):
        return (X == 3).sum(axis=1).astype(float)

    start = SPACE.sample(10, rng=0)
    found = evolved(SPACE, score, start, stream(0), 20, 15)
    assert found[0].tolist() == [3] * 6
    assert (np.diff(score(found)) <= 0).all()
    assert len(np.unique(SPACE.canonical(found))) == len(found)


def test_an_acquisition_that_needs_an_uncertainty_says_so():
    with pytest.raises(SettingError, match="uncertainty"):
        BO(2, LinearRegression()).propose(SPACE, known(), 1, stream(0))
    for regressor in (BayesianRidge(), GaussianProcessRegressor()):
        assert len(BO(2, regressor).propose(SPACE, known(), 1, stream(0)).X) == 1
    for wrong in ({"acquisition": "best"}, {"candidates": "near"}, {"batch": 0}, {"warm": 3}):
        with pytest.raises(SettingError, match="bo, "):
            BO(**wrong)


def test_a_warm_start_is_the_best_by_the_consensus():
    empty = History.empty(SPACE)
    X = opening(SPACE, empty, 10, stream(0), warm="size")
    cold = opening(SPACE, empty, 10, stream(0))
    assert SPACE.costs(X).params.min() > np.median(SPACE.costs(cold).params)
    rows = np.array(
        [[0, 0, 0, 0, 0, 0], [0, 0, 0, 2, 0, 0], [3, 3, 3, 3, 3, 3], [0, 0, 0, 2, 0, 0]]
    )
    np.testing.assert_allclose(consensus(SPACE, "size", rows), [0, 0.25, 0.75, 0.25])
    got = ft.Search(SPACE, BO(10, warm="size"), seed=1).ask(10)
    assert SPACE.costs(got).params.min() > np.median(SPACE.costs(cold).params)
