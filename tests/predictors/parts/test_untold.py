"""`auto` before anything is trained: consensus, any zero-cost score, size, or nothing."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

import foretell as ft
from foretell.errors import DataError
from foretell.evidence import evidence_of, ledger
from foretell.metrics import kendall
from foretell.predictors.parts.untold import ByScores
from foretell.search.ranking import rank

SMALL = ft.spaces.get("nb201", channels=4, n_cells=1, input_shape=(3, 8, 8))
NONE = np.zeros((0, 6), dtype=int), np.zeros(0)


@pytest.fixture(autouse=True)
def _ledger(tmp_path):
    with ledger(tmp_path / "evidence"):
        yield


def auto(space=SMALL, **settings):
    none = np.zeros((0, space.d), dtype=int)
    return ft.predictors.get("auto", space=space, random_state=0, **settings).fit(none, [])


def test_consensus_ranks_before_anything_is_trained():
    model = auto()
    assert model.chosen_ == "consensus"
    assert "nothing is trained yet" in model.note_
    X = SMALL.sample(6, rng=0)
    mean, std = model.predict(X, return_std=True)
    assert np.array_equal(mean, ft.proxies.ZeroCost("consensus", space=SMALL).values(X)[:, 0])
    assert np.allclose(mean[:2], model.predict(X[:2]))
    assert std.tolist() == [1.0] * 6


def test_a_ranking_pays_for_the_largest_alone():
    model = auto()
    found = rank(SMALL, model, 3, evidence=6)
    assert found.n_paid == 6
    assert found.evidence_s > 0
    screen = model.screen()
    assert screen.chosen_ == "n-flops"
    assert screen.screen() is None
    assert evidence_of(screen) == []
    X = SMALL.sample(50, rng=0)
    assert kendall(SMALL.costs(X).flops, screen.predict(X)) == pytest.approx(1.0)


def test_results_take_the_place_of_the_consensus():
    model = auto(candidates=("gp",))
    X = SMALL.sample(20, rng=0)
    fitted = model.fit(X, (X == 3).sum(axis=1))
    assert fitted.chosen_ != "consensus"
    assert evidence_of(fitted) == []
    assert fitted.screen() is None


def test_own_scores_and_directions():
    X = SMALL.sample(8, rng=1)
    few = ft.proxies.ZeroCost(("n-layers", "n-params"), batch=4)
    sizes = auto(evidence=few).predict(X)
    assert kendall(SMALL.costs(X).params, sizes) > 0.9
    worse = ft.proxies.ZeroCost("ntk-cond", batch=8)
    values = ft.proxies.ZeroCost("ntk-cond", batch=8, space=SMALL).values(X)[:, 0]
    known = ~np.isnan(values)
    assert kendall(-values[known], auto(evidence=worse).predict(X)[known]) == pytest.approx(1.0)


def test_spaces_without_networks_have_sizes_or_nothing():
    class Bare(ft.Space):
        a = ft.choice([1, 2, 3])
        b = ft.choice([1, 2])

    bare = Bare()
    model = auto(bare)
    assert model.chosen_ == "nothing"
    assert model.predict(bare.sample(4, rng=0)).tolist() == [0.0] * 4


def test_others_still_want_a_result():
    with pytest.raises(DataError, match="targets y"):
        ft.predictors.get("gp", space=SMALL).fit(*NONE)


def test_scores_alone_are_a_candidate():
    """With few results what is known of many networks is heard: slope and place are theirs."""
    X = SMALL.sample(24, rng=3)
    few = ft.proxies.ZeroCost("n-layers", batch=4, space=SMALL)
    y = few.values(X)[:, 0] + 0.1 * np.random.default_rng(0).normal(size=24)
    model = ft.predictors.get(
        "auto", space=SMALL, evidence=few, candidates=("gp",), random_state=0
    ).fit(X, y)
    assert model.cv_scores_["zero-cost"][0] > 0.8
    assert "zero-cost" in model.weights_
    five = clone(model).fit(X[:5], y[:5])
    assert sorted(five.weights_) == ["gp", "prior", "zero-cost"]
    assert kendall(y[5:], five.predict(X[5:])) > 0.5


def test_the_sign_of_scores_does_not_turn_round():
    X = SMALL.sample(10, rng=4)
    few = ft.proxies.ZeroCost("n-params", batch=4, space=SMALL)
    size = SMALL.costs(X).params.astype(float)
    found = ByScores(SMALL, (few,)).fit(X[:4], -size[:4]).predict(X)
    assert kendall(size, found) > 0.9
    assert ByScores(SMALL, (few,)).fit(X[:1], [3.0]).predict(X[:1]).tolist() == [3.0]
