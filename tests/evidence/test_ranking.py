"""Ranking with evidence: what is cheap ranks all, evidence is paid for the best of them."""

from __future__ import annotations

import numpy as np
import pytest
from counted_evidence import NB201, Counted, asked, rows
from sklearn.base import clone
from sklearn.ensemble import StackingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import BayesianRidge, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union

import foretell as ft
from foretell.errors import SettingError
from foretell.evidence import evidence_of, ledger, without_evidence
from foretell.predictors import OnFeatures
from foretell.search.ranking import rank

X = rows(40)
Y = (X == 3).sum(axis=1) + 0.1 * np.random.default_rng(0).normal(size=40)
ALL = np.concatenate(list(NB201.enumerate()))


@pytest.fixture
def counted(tmp_path):
    with ledger(tmp_path / "evidence"):
        yield Counted(NB201, file=tmp_path / "asked")


def one_hot():
    return ft.encodings.get("one-hot", NB201)


def test_evidence_is_paid_for_the_best_alone(counted):
    model = OnFeatures(NB201, BayesianRidge(), ("size", counted), random_state=0).fit(X, Y)
    assert len(asked(counted.file)) == 40
    got = rank(NB201, model, 10)
    assert len(asked(counted.file)) == 40 + got.n_paid
    screen = model.screen()
    best = rank(NB201, screen, 100)
    assert got.n_paid == 100 - np.isin(NB201.row_key(best.X), NB201.row_key(X)).sum()
    assert got.n_scored == 15_625 + 100
    assert got.evidence_s == pytest.approx(
        counted.spent(best.X[~np.isin(NB201.row_key(best.X), NB201.row_key(X))]).sum()
    )
    # and of these it takes those that are best with evidence
    assert np.allclose(got.mean, np.sort(model.predict(best.X))[::-1][:10])
    assert np.allclose(got.std, model.predict(got.X, return_std=True)[1])
    again = rank(NB201, model, 10)
    assert np.array_equal(again.X, got.X)
    assert (again.n_paid, again.evidence_s) == (0, 0.0)


def test_how_many_rows_may_be_paid(counted):
    model = OnFeatures(NB201, Ridge(), ("one-hot", counted)).fit(X, Y)
    for evidence, most in ((7, 7), (None, 100), (300, 300)):
        before = len(asked(counted.file))
        assert len(rank(NB201, model, 5, evidence=evidence)) == 5
        assert len(asked(counted.file)) - before <= most
    assert len(rank(NB201, model, 40)) == 40
    with pytest.raises(SettingError, match="evidence: expected at least k = 5, got 4"):
        rank(NB201, model, 5, evidence=4)


def test_excluded_rows_and_costs(counted):
    model = OnFeatures(NB201, Ridge(), ("one-hot", counted)).fit(X, Y)
    first = rank(NB201, model, 5)
    second = rank(NB201, model, 5, exclude=first.X)
    assert not np.isin(NB201.row_key(second.X), NB201.row_key(first.X)).any()
    both = rank(NB201, model, 20, minimize=("params",))
    assert np.array_equal(both.costs, NB201.measure(both.X, ("params",)))
    assert len(np.unique(both.costs)) > 3  # a front, not one end of it


def test_behind_a_screen_that_knows_nothing_are_random_rows(counted):
    """Of which those come first that are best by evidence."""
    model = OnFeatures(NB201, Ridge(1e-3), counted).fit(X, Y)
    screen = ft.predictors.get("mean", space=NB201).fit(X, Y)
    got = rank(NB201, model, 10, screen=screen, evidence=500, repeats=True)
    paid = np.array(sorted(set(asked(counted.file))), dtype=np.uint64)
    new = ALL[np.isin(NB201.row_key(ALL), paid) & ~np.isin(NB201.row_key(ALL), NB201.row_key(X))]
    assert 480 < len(new) == got.n_paid <= 500
    assert abs((new == 3).mean() - 0.2) < 0.02
    assert (got.X == 3).sum(axis=1).min() >= np.sort((new == 3).sum(axis=1))[-10]


def pipelines(counted):
    return [
        make_pipeline(counted, Ridge()),
        make_pipeline(make_union(one_hot(), counted), BayesianRidge()),
        GridSearchCV(make_pipeline(make_union(counted, one_hot()), Ridge()), {}, cv=2),
        StackingRegressor([("a", make_pipeline(counted, Ridge())), ("b", Ridge())], Ridge(), cv=2),
    ]


@pytest.mark.parametrize("i", range(4))
def test_pipelines_are_ranked_by_a_screen(counted, i):
    model = pipelines(counted)[i].fit(X, Y)
    assert [one.book for one in evidence_of(model)] == [counted.book]
    with pytest.raises(SettingError, match=r"asks evidence, which would be paid for the whole.*On"):
        rank(NB201, model, 5)
    cheap = without_evidence(model)
    assert not evidence_of(cheap)
    assert len(asked(counted.file)) == 40
    screen = clone(cheap).fit(X, Y)
    got = rank(NB201, model, 5, screen=screen)
    assert got.n_paid <= 100
    assert len(asked(counted.file)) == 40 + got.n_paid


def test_what_is_left_without_evidence(counted):
    union = without_evidence(
        FeatureUnion([("a", one_hot()), ("b", counted)], transformer_weights={"b": 2.0})
    )
    assert union.fit_transform(X).shape[1] == one_hot().transform(X).shape[1]
    alone = without_evidence(make_union(counted))
    assert np.array_equal(alone.fit_transform(X), one_hot().transform(X))
    gp = ft.predictors.get("gp", space=NB201, encoding=("path", counted))
    assert without_evidence(gp).encoding == ("path",)
    auto = ft.predictors.get("auto", space=NB201, evidence=counted)
    assert without_evidence(auto).evidence == ()
    auto = ft.predictors.get("auto", space=NB201, evidence=(counted, counted))
    assert without_evidence(auto).evidence == ()
    assert without_evidence(Ridge(2.0)).alpha == 2.0
    assert evidence_of([Ridge, "path", 3, None]) == []


@pytest.mark.parametrize("kind", ["on-features", "pipeline", "auto", "gp"])
def test_inside_a_search(counted, kind):
    """Known after 20 + 2 x 10 results: theirs, and the rows that two rankings may pay for."""
    both = make_union(one_hot(), counted)
    model = {
        "on-features": OnFeatures(NB201, GaussianProcessRegressor(alpha=0.1), ("one-hot", counted)),
        "pipeline": make_pipeline(both, BayesianRidge()),
        "auto": ft.predictors.get("auto", space=NB201, candidates=("gp",), evidence=counted),
        "gp": ft.predictors.get("gp", space=NB201, encoding=("one-hot", counted)),
    }[kind]
    strategy = ft.strategies.get(
        "neural-predictor", n_train=20, batch=10, predictor=model, evidence=30
    )
    search = ft.Search(NB201, strategy, seed=0)
    for n in (20, 10, 10):
        got = search.ask(n)
        search.tell(got, (got == 3).sum(axis=1))
    assert (got == 3).sum(axis=1).mean() > 3.0  # at random: 1.2
    known = len(asked(counted.file))
    assert known == len(set(asked(counted.file)))
    assert 20 + 10 < known <= 40 + 2 * 30


def test_a_strategy_says_what_is_wrong_with_its_setting():
    with pytest.raises(SettingError, match="evidence"):
        ft.strategies.get("neural-predictor", evidence=-1)
