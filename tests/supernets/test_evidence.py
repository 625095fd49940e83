"""Inherited weights as evaluator, as evidence, and as the beginning of a run."""

from __future__ import annotations

import numpy as np
import pytest

import foretell as ft
from foretell.evaluators.inherited import Inherited
from foretell.evaluators.simulated import Simulated
from foretell.evidence import ledger
from foretell.search.loop import Loop
from foretell.supernets.chain import Ranked
from foretell.supernets.evidence import SharedWeights
from foretell.training.data import load


@pytest.fixture(scope="module")
def space():
    return ft.spaces.get("nb201", channels=4, n_cells=1, input_shape=(1, 8, 8))


@pytest.fixture(scope="module")
def digits():
    return load("digits", fractions=(0.08, 0.05, 0.87))


@pytest.fixture(scope="module")
def trained(space, digits):
    return ft.supernets.get("rsws", space=space, epochs=4).train(digits)


def test_any_strategy_searches_with_inherited_weights(space, trained) -> None:
    evaluator = Inherited(space, trained, batches=1)
    search = ft.Search(space, "regularized-evolution", seed=0)
    for _ in Loop(search, evaluator, Simulated(evaluator, workers=1), networks=40).run():
        pass
    X = search.history.X
    assert np.allclose(search.history.y, trained.score(X, 1))
    assert search.best_value == pytest.approx(trained.score(X, 1).max())


def test_a_row_that_a_supernet_has_not_is_a_failed_result(space, trained) -> None:
    class Part:
        def score(self, X, batches=None):
            return np.full(len(X), np.nan)

    assert "does not hold" in Inherited(space, Part()).evaluate(np.zeros(6, int)).error
    assert not Inherited(space, trained).evaluate(np.zeros(7, int)).ok


def test_evidence_trains_once_and_answers_what_the_search_scores(space, digits, tmp_path) -> None:
    X = space.sample(6, rng=0)
    with ledger(tmp_path):
        shared = SharedWeights("rsws", digits, epochs=2, space=space)
        first = shared.values(X)[:, 0]
        assert shared.init_s > 0
        assert len(list(tmp_path.glob("supernets/*/supernet.safetensors"))) == 1
        again = SharedWeights("rsws", digits, epochs=2, space=space)
        assert (again.values(X)[:, 0] == first).all()
        assert "_trained" not in vars(again)  # all answers were in the ledger
        search = ft.supernets.get("rsws", space=space, epochs=2).train(digits)
        assert np.allclose(search.score(X), first)
        other = SharedWeights("one-shot", digits, epochs=2, space=space)
        assert other.book != shared.book
        model = ft.predictors.OnFeatures  # evidence is an encoding like any other
        assert model is not None
        assert other.transform(X[:2]).shape == (2, 1)


@pytest.mark.slow
def test_run_begins_with_a_supernet(tmp_path, digits) -> None:
    nas = ft.NAS(
        space="nb201", space_settings={"channels": 4, "n_cells": 1}, strategy="supernet:gdas",
        strategy_settings={"epochs": 2}, n_train=2, top_k=1, epochs=1, workers=1,
        out=str(tmp_path / "r"),
    )  # fmt: skip
    nas.fit("digits")
    found = ft.supernets.get(
        "gdas", space=ft.spaces.get("nb201", channels=4, n_cells=1), epochs=2, random_state=0
    ).fit("digits")
    trained = nas.ranking_
    assert len(trained) >= 3
    first = (tmp_path / "r" / "trials.jsonl").read_text().splitlines()
    text = found.space_.to_str(found.best_[None])[0]
    assert any(text in line for line in first)
    nas.fit("digits")  # goes on: nothing to do
    again = (tmp_path / "r" / "trials.jsonl").read_text().splitlines()
    assert [line for line in again[len(first) :] if '"session"' not in line] == []


def test_ranked_rows_come_in_their_order(space) -> None:
    X = space.sample(5, rng=1)
    search = ft.Search(space, Ranked("x", tuple(map(tuple, X.tolist()))), seed=0)
    assert (search.ask(3) == X[:3]).all()
    assert (search.ask(3)[:2] == X[3:]).all()
