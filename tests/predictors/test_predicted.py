"""`predicted`: the deviation of any regressor, wherever it is inside of another."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import config_context
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingRegressor, RandomForestRegressor, StackingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import RFE
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import BayesianRidge, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import foretell as ft
from foretell.predictors import predicted
from foretell.predictors.parts.predicted import has_std
from foretell.search.ranking import rank

NB201 = ft.spaces.get("nb201")
X = NB201.sample(40, rng=0)
Y = (X == 3).sum(axis=1) + 0.1 * np.random.default_rng(0).normal(size=40)
ONE_HOT = ft.encodings.get("one-hot", NB201)
F = ONE_HOT.transform(X).astype(float)


def direct(model, at=F):
    return model.predict(at, return_std=True)


@pytest.mark.parametrize("name", ["gp", "xgb", "n-params"])
def test_predictors_of_the_catalog(name):
    model = ft.predictors.get(name, space=NB201, random_state=0)
    told = model.fit(X, Y)
    mean, std = predicted(told, X)
    assert np.array_equal(mean, told.predict(X))
    assert (std is not None) == has_std(told) == (name == "gp")
    if std is not None:
        assert np.array_equal(std, told.predict(X, return_std=True)[1])


@pytest.mark.parametrize("kind", [BayesianRidge, GaussianProcessRegressor])
def test_pipelines_and_searches_over_settings(kind):
    inner = kind().fit(F, Y)
    for model in (
        kind(),
        make_pipeline(kind()),
        make_pipeline(FunctionTransformer(), kind()),
        make_pipeline(FunctionTransformer(), make_pipeline(FunctionTransformer(), kind())),
        GridSearchCV(make_pipeline(FunctionTransformer(), kind()), {}, cv=2),
        make_pipeline(FunctionTransformer(), GridSearchCV(kind(), {}, cv=2)),
        RFE(kind(), n_features_to_select=1.0, importance_getter=lambda m: [1] * m.n_features_in_),
    ):
        assert has_std(model)
        told = model.fit(F, Y)
        assert np.allclose(predicted(told, F), direct(inner), rtol=1e-9)


def test_with_metadata_routing():
    with config_context(enable_metadata_routing=True):
        model = make_pipeline(StandardScaler(), BayesianRidge()).fit(F, Y)
        assert np.array_equal(predicted(model, F), direct(model[-1], model[0].transform(F)))


def test_stacking_has_the_deviation_of_its_final_regressor():
    model = StackingRegressor([("a", Ridge()), ("b", Ridge(10.0))], BayesianRidge(), cv=3)
    assert has_std(model)
    model.fit(F, Y)
    assert np.array_equal(predicted(model, F), direct(model))


def test_target_of_another_scale():
    """Exact for linear maps, also decreasing ones; half of what two deviations span for others."""
    model = TransformedTargetRegressor(BayesianRidge(), transformer=StandardScaler()).fit(F, Y)
    mean, std = predicted(model, F)
    inner, spread = direct(model.regressor_)
    assert np.allclose(mean, model.predict(F))
    assert np.allclose(std, spread * Y.std())
    assert np.allclose(mean, inner * Y.std() + Y.mean())
    minus = TransformedTargetRegressor(
        BayesianRidge(), func=np.negative, inverse_func=np.negative
    ).fit(F, Y)
    assert np.allclose(predicted(minus, F)[1], direct(BayesianRidge().fit(F, -Y))[1])
    log = TransformedTargetRegressor(BayesianRidge(), func=np.log1p, inverse_func=np.expm1)
    log.fit(F, Y - Y.min())
    mean, std = predicted(log, F)
    inner, spread = direct(log.regressor_)
    assert np.allclose(mean, log.predict(F))
    assert np.allclose(std, np.exp(inner) * np.sinh(spread))


def test_distribution_of_ngboost():
    ngboost = pytest.importorskip("ngboost")
    model = ngboost.NGBRegressor(n_estimators=20, verbose=False, random_state=0).fit(F, Y)
    mean, std = predicted(model, F)
    found = model.pred_dist(F)
    assert np.allclose(mean, found.loc)
    assert np.allclose(std, found.scale)


@pytest.mark.parametrize(
    "model",
    [
        Ridge(),
        RandomForestRegressor(5, random_state=0),
        make_pipeline(StandardScaler(), Ridge()),
        GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}),
        BaggingRegressor(BayesianRidge(), 3, random_state=0),  # its members have one, it has none
        TransformedTargetRegressor(),
        StackingRegressor([("a", BayesianRidge())], cv=2),
    ],
)
def test_without_uncertainty(model):
    assert not has_std(model)
    mean, std = predicted(model.fit(F, Y), F)
    assert std is None
    assert np.array_equal(mean, model.predict(F))
    assert predicted(model, F[:0])[1] is None  # though scikit-learn refuses to predict nothing


def test_no_rows():
    mean, std = predicted(make_pipeline(ONE_HOT, BayesianRidge()).fit(X, Y), X[:0])
    assert len(mean) == len(std) == 0


def test_errors_of_the_model_are_heard():
    for model in (BayesianRidge(), make_pipeline(StandardScaler(), BayesianRidge()), Ridge()):
        with pytest.raises(NotFittedError):
            predicted(model, F)

    class Broken(BayesianRidge):
        def predict(self, X, return_std=False):
            raise TypeError("inside of the model")

    with pytest.raises(TypeError, match="inside of the model"):
        predicted(make_pipeline(StandardScaler(), Broken()).fit(F, Y), F)
    with pytest.raises(AttributeError):
        predicted(object(), F)


def test_pipeline_keeps_its_deviation_in_a_ranking():
    model = make_pipeline(ONE_HOT, BayesianRidge()).fit(X, Y)
    got = rank(NB201, model, 5)
    assert np.array_equal(got.std, direct(model[-1], ONE_HOT.transform(got.X))[1])
    assert rank(NB201, make_pipeline(ONE_HOT, Ridge()).fit(X, Y), 5).std is None
