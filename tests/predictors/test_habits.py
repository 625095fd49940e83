"""What users of scikit-learn do with predictors and encodings, and settings that are wrong."""

from __future__ import annotations

import io

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import foretell as ft
from foretell import _catalog
from foretell.errors import DataError, SettingError
from foretell.predictors.base import Predictor
from foretell.search.ranking import rank
from foretell.spaces.parts.listed import listed

SPACE = ft.spaces.get("nb201")
X = SPACE.sample(40, rng=0)
Y = (X == 3).sum(axis=1) + 0.1 * np.random.default_rng(0).normal(size=40)
NAMES = [choice.name for choice in SPACE.choices]


def made(name="rf", **settings):
    return ft.predictors.get(name, **{"space": SPACE, "random_state": 0, **settings})


def test_columns_of_a_frame_keep_their_order():
    frame = pd.DataFrame(X, columns=NAMES)
    model = made().fit(frame, Y)
    assert np.array_equal(model.predict(frame), made().fit(X, Y).predict(X))
    mixed = frame[NAMES[::-1]]
    for wrong in (lambda: model.predict(mixed), lambda: made().fit(mixed, Y)):
        with pytest.raises(DataError, match="columns of X"):
            wrong()
    other = made().fit(frame.set_axis(list("abcdef"), axis=1), Y)
    with pytest.raises(DataError, match="those of the fit, in their order: a, b"):
        other.predict(frame.set_axis(list("abcdfe"), axis=1))
    other.fit(X, Y)
    assert other.predict(frame).shape == (40,)


@pytest.mark.parametrize(
    "y", [Y.astype(str), Y + 1j, np.array(["good"] * 40), np.array([*map(str, Y)], dtype=object)]
)
def test_targets_are_real_numbers(y):
    with pytest.raises(DataError, match="targets y: expected real numbers"):
        made().fit(X, y)
    assert made().fit(X, Y.astype(object)).predict(X).shape == (40,)


@pytest.mark.parametrize("make", [np.random.RandomState, np.random.default_rng])
def test_generators_as_random_state(make):
    first, second = (made(random_state=make(5)).fit(X, Y).predict(X) for _ in range(2))
    assert np.array_equal(first, second)
    shared = make(5)
    again = [made(random_state=shared).fit(X, Y).predict(X) for _ in range(2)]
    assert np.array_equal(again[0], first)
    assert not np.array_equal(again[1], first)
    model = clone(made(random_state=make(5)))
    assert np.array_equal(model.fit(X, Y).predict(X), first)


@pytest.mark.parametrize("name", ft.encodings.names())
def test_encodings_name_their_features(name):
    encoding = ft.encodings.get(name, SPACE)
    names = encoding.get_feature_names_out()
    plain = encoding.transform(X)
    assert names.shape == (plain.shape[1],) == (len(set(names)),)
    frame = encoding.set_output(transform="pandas").transform(pd.DataFrame(X, columns=NAMES))
    assert list(frame.columns) == list(names)
    assert np.array_equal(frame.to_numpy(), plain)


def test_a_name_is_no_space():
    for wrong in (
        lambda: ft.predictors.get("rf", space="nb201").fit(X, Y),
        lambda: ft.encodings.get("one-hot", "nb201").transform(X),
        lambda: ft.Search("nb201"),
    ):
        with pytest.raises(SettingError, match=r"expected a space, got 'nb201'.*spaces.get"):
            wrong()


@pytest.mark.parametrize("name", ft.predictors.names())
def test_settings_of_another_kind(name):
    settings = made(name).get_params(deep=False)
    kinds = {key for key, value in settings.items() if type(value) in (int, float)}
    for setting in kinds - {"random_state"}:
        with pytest.raises(SettingError, match=rf"{setting}: expected a.* number"):
            made(name, **{setting: "32"}).fit(X, Y)


@pytest.mark.parametrize(
    ("name", "setting", "wrong"),
    [
        ("auto", "folds", "2"),
        ("auto", "budget_s", "x"),
        ("auto", "evidence", "x"),
        ("gp", "kernel", ["rbf"]),
        ("gp", "target", None),
        ("gp", "spread", float("nan")),
        ("gcn", "members", None),
        ("rf", "max_features", 2.5),
        ("rf", "min_leaf", 0),
        ("seminas", "repeats", "2"),
    ],
)
def test_settings_that_no_default_tells_the_kind_of(name, setting, wrong):
    with pytest.raises(SettingError, match=setting):
        made(name, **{setting: wrong}).fit(X, Y)


def test_what_a_user_s_predictor_does_not_annotate_is_as_its_default():
    class Own(Predictor):
        def __init__(self, space, depth=3, mark=None, random_state=None):
            self.space, self.depth, self.mark = space, depth, mark
            self.random_state = random_state

        def _fit(self, X, y, rng):
            self.mean_ = y.mean()

        def _predict(self, X):
            return np.full(len(X), self.mean_), None

    assert Own(SPACE, 5, "anything").fit(X, Y).predict(X).std() == 0
    with pytest.raises(SettingError, match="Own, depth: expected a whole number"):
        Own(SPACE, 2.5).fit(X, Y)


@pytest.mark.parametrize("name", ["gp", "gp-wl", "nasbot-gp"])
def test_no_rows_to_learn_from(name):
    with pytest.raises(SettingError, match="max_rows: expected a whole number from 1, got 0"):
        made(name, max_rows=0).fit(X, Y)


@pytest.mark.parametrize("kind", ["predictor", "strategy", "encoding"])
def test_unknown_settings_are_named_with_the_known_ones(kind):
    for name in _catalog.names(kind):
        needed = {} if kind == "strategy" else {"space": SPACE}
        with pytest.raises(SettingError, match=rf"settings of {kind} '{name}'.*'tournament'"):
            _catalog.get(kind, name, tournament=10, **needed)


def test_a_strategy_with_a_word_for_a_number():
    with pytest.raises(SettingError, match="settings of strategy"):
        ft.strategies.get("regularized-evolution", population="5")


@pytest.mark.parametrize("name", ["gcn", "mlp", "bananas"])
def test_what_has_diverged_proposes_nothing(name):
    model = made(name, lr=1e4).fit(X, Y)
    with pytest.raises(DataError, match="diverged"):
        model.predict(X)
    search = ft.Search(SPACE, ft.strategies.get("neural-predictor", n_train=10, predictor=model))
    search.tell(X, Y)
    with pytest.raises(DataError, match="diverged"):
        search.ask(3)


def test_a_ranking_without_a_number_is_refused():
    class Lost:
        def predict(self, X):
            return np.full(len(X), np.nan)

    with pytest.raises(DataError, match="no row has a prediction that is a number"):
        rank(SPACE, Lost(), 3)


@pytest.mark.parametrize("name", ["n-params", "n-flops", "mean"])
def test_constant_targets_stay_constant(name):
    got = made(name).fit(X, np.full(40, 0.5)).predict(X[:5])
    np.testing.assert_allclose(got, 0.5, rtol=1e-6)


def test_a_listed_space_goes_through_joblib():
    space = listed(SPACE, X[:20])
    model = made(space=space).fit(space.sample(20, rng=0), Y[:20])
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    again = joblib.load(file)
    assert again.space.size == space.size
    assert np.array_equal(next(again.space.enumerate()), next(space.enumerate()))
    assert np.array_equal(again.predict(X[:20]), model.predict(X[:20]))
