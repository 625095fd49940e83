"""Any regressor on any encodings and evidence."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.base import clone
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import BayesianRidge, Ridge
from sklearn.model_selection import RandomizedSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

import foretell as ft
from foretell.errors import NoUncertaintyError, SpaceError
from foretell.evidence import Evidence, ledger
from foretell.metrics import kendall
from foretell.predictors import OnFeatures
from foretell.predictors.gp import GP
from foretell.predictors.parts.features import FEATURES, FLOWS, Ranked
from foretell.testing.predictors import check_predictor

NB201 = ft.spaces.get("nb201")
X = NB201.sample(60, rng=0)
Y = (X == 3).sum(axis=1) + 0.1 * np.random.default_rng(0).normal(size=60)


class Noisy(Evidence):
    """The target with noise, except for rows that begin with 0."""

    def __init__(self, space=None, seed=0):
        self.space, self.seed = space, seed

    def compute(self, X):
        if X[0, 0] == 0:
            raise ValueError("begins with 0")
        noise = np.random.default_rng([self.seed, *X[0].tolist()]).normal()
        return 1e6 * ((X == 3).sum(axis=1) + 0.1 * noise)


@pytest.fixture(autouse=True)
def kept(tmp_path):
    with ledger(tmp_path):
        yield


@pytest.mark.parametrize(
    ("regressor", "learns"),
    [(BayesianRidge(), True), (SVR(C=10.0), True), (KNeighborsRegressor(1), False)],
)
def test_contract(regressor, learns):
    for space in (NB201, ft.Space.from_choices({"a": [1, 2, 3], "b": [8, 16, 32]}, print)):
        check_predictor(OnFeatures(space, regressor, random_state=0), learns=learns)


def test_is_the_regressor_on_standardised_features():
    parts = [ft.encodings.get(name, NB201).transform(X) for name in ("path", "one-hot")]
    F = np.concatenate(parts, axis=1, dtype=float)
    for regressor in (GaussianProcessRegressor(alpha=0.1), BayesianRidge()):
        model = OnFeatures(NB201, regressor, ("path", "one-hot"), "value").fit(X, Y)
        other = make_pipeline(StandardScaler(), clone(regressor)).fit(F, (Y - Y.mean()) / Y.std())
        mean, std = other.predict(F, return_std=True)
        assert np.allclose(model.predict(X), Y.mean() + Y.std() * mean, rtol=1e-4)
        calibrated = np.sqrt(model.shrink_ * std**2 + model.widen_)
        assert np.allclose(model.predict(X, return_std=True)[1], Y.std() * calibrated, rtol=1e-4)


def test_has_the_uncertainty_of_its_regressor():
    assert OnFeatures(NB201, GaussianProcessRegressor()).has_std
    assert OnFeatures(NB201, make_pipeline(StandardScaler(), BayesianRidge())).has_std
    model = OnFeatures(NB201, Ridge())
    assert not model.has_std
    with pytest.raises(NoUncertaintyError):
        model.fit(X, Y).predict(X, return_std=True)


def test_evidence_beside_encodings():
    """It helps, its scale does not matter, and rows without an answer are no hindrance."""
    T = NB201.sample(300, rng=1)
    assert (T[:, 0] == 0).any()
    truth, taus = (T == 3).sum(axis=1), []
    for encoding in ("one-hot", ("one-hot", Noisy())):
        model = OnFeatures(NB201, BayesianRidge(), encoding, random_state=0)
        fits = (model.fit(X[i : i + 12], Y[i : i + 12]).predict(T) for i in range(0, 60, 12))
        taus.append(np.mean([kendall(truth, fit) for fit in fits]))
    assert taus[1] > taus[0] + 0.1


def test_missing_answers_are_the_mean_of_the_training_rows():
    model = OnFeatures(NB201, Ridge(), Noisy(), "value").fit(X, Y)
    begin = X[:, 0] == 0
    assert begin.any()
    answers = Noisy(NB201).values(X)[~begin]
    mean = np.repeat(answers.mean(axis=0)[None], begin.sum(), axis=0)
    assert np.allclose(model.model_[1].mean_, answers.mean(axis=0))
    want = model.scale_.value(model.model_.predict(mean))
    assert np.allclose(model.predict(X[begin]), want, rtol=1e-5)


@pytest.mark.parametrize("name", ["gp", "gp-wl", "bayes-lin", "rf", "mlp", "gcn", "bohamiann"])
def test_predictors_that_take_an_encoding_take_evidence(name):
    model = ft.predictors.get(name, space=NB201, random_state=0)
    given = model.encoding if isinstance(model.encoding, tuple) else (model.encoding,)
    for key in ("steps", "epochs"):
        if key in model.get_params():
            model.set_params(**{key: 5})
    beside = [one for one in given if one is not None]
    model.set_params(encoding=(*beside, Noisy())).fit(X, Y)
    assert np.isfinite(model.predict(NB201.sample(50, rng=2))).all()


def test_screen_is_the_same_without_evidence():
    encoding = ("path", Noisy(), "one-hot")
    model = OnFeatures(NB201, BayesianRidge(), encoding, random_state=0).fit(X, Y)
    plain = OnFeatures(NB201, BayesianRidge(), ("path", "one-hot"), random_state=0).fit(X, Y)
    screen = model.screen()
    assert screen.encoding == ("path", "one-hot")
    assert np.array_equal(screen.predict(X), plain.predict(X))
    assert plain.screen() is None
    alone = OnFeatures(NB201, BayesianRidge(), Noisy()).fit(X, Y).screen()
    assert alone.encoding == "one-hot"


def test_scikit_learn_takes_it_with_evidence():
    model = OnFeatures(NB201, Ridge(), ("one-hot", Noisy()), random_state=0)
    assert cross_val_score(model, X, Y, cv=4).min() > 0.5
    search = RandomizedSearchCV(
        model, {"regressor__alpha": [1e-3, 1e6]}, n_iter=2, cv=3, random_state=0
    ).fit(X, Y)
    assert search.best_params_ == {"regressor__alpha": 1e-3}


def test_features_in_front_of_a_predictor_are_refused_with_a_way_out():
    for name in ("gp", "rf"):
        model = make_pipeline(ft.encodings.get("path", NB201), ft.predictors.get(name, space=NB201))
        with pytest.raises(SpaceError, match=r"takes rows of space 'nb201', not features.*OnFeat"):
            model.fit(X, Y)
    # what it advises does work, in scikit-learn's tools and at the head of a search
    for model in (
        make_pipeline(ft.encodings.get("one-hot", NB201), Ridge()),
        OnFeatures(NB201, Ridge(), "one-hot"),
    ):
        assert cross_val_score(clone(model), X, Y, cv=3).min() > 0.0
        strategy = ft.strategies.get("neural-predictor", n_train=10, predictor=model)
        search = ft.Search(NB201, strategy, seed=0)
        for _ in range(2):
            rows = search.ask(10)
            search.tell(rows, (rows == 3).sum(axis=1))
        assert (rows == 3).sum(axis=1).mean() > 2.0  # at random: 1.2


def test_rows_as_fractions_are_still_rows():
    model = OnFeatures(NB201, Ridge()).fit(X.astype(float), Y)
    assert np.array_equal(model.predict(X.astype(float)), model.predict(X))


def test_a_search_does_not_reseed_evidence():
    """Its seed is part of the question; the regressor's is not."""
    from foretell.predictors.base import seeded

    class Seeded(Noisy):
        def __init__(self, space=None, random_state=0):
            self.space, self.random_state = space, random_state

    model = seeded(make_pipeline(Seeded(NB201), StandardScaler(), Ridge(random_state=1)), 7)
    assert model[0].random_state == 0
    assert model[-1].random_state == 7


class Stretched(Noisy):
    """The same answers over many magnitudes: their order alone is kept."""

    def compute(self, X):
        return np.sinh((super().compute(X) / 1e6 - 2) * 4)


def test_normal_scores_by_hand():
    told = SimpleNamespace(
        space=NB201, encode=lambda values: np.array(values, dtype=float)[:, None]
    )
    known = [4.0, 1.0, np.nan, 1.0, 7.0]
    ranked = Ranked(told, known)
    low, middle, high = norm.ppf([0.25, 0.625, 0.875])  # of 1, 4, 7: (below + half of equals) / 4
    spread = np.std([4.0, 1.0, 1.0, 7.0])
    asked = [1.0, 4.0, 7.0, 2.5, np.nan, 7.0 + 2 * spread, 1.0 - spread, np.inf]
    expected = [low, middle, high, (low + middle) / 2, 0.0, high + 2, low - 1, 10.0]
    assert np.allclose(ranked.encode(asked)[:, 0], expected, atol=1e-6)
    nothing = Ranked(told, [np.nan, np.nan])
    assert np.isfinite(nothing.encode(asked)).all()


def test_a_gaussian_process_hears_evidence_whatever_its_scale():
    """More than what it counts of 20 rows, and as well where answers span magnitudes."""
    T = NB201.sample(300, rng=1)
    truth = (T == 3).sum(axis=1)
    taus = []
    for beside in ((), (Noisy(),), (Stretched(),)):
        model = GP(NB201, (FEATURES, FLOWS, *beside), random_state=0)
        fits = (model.fit(X[i : i + 12], Y[i : i + 12]).predict(T) for i in range(0, 60, 12))
        taus.append(np.mean([kendall(truth, fit) for fit in fits]))
    assert min(taus[1:]) > taus[0] + 0.1
    assert taus[2] > taus[1] - 0.03
