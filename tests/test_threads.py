"""Small linear algebra is on one core, also where the library came later; afterwards as before."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import foretell as ft
from foretell.predictors.base import Predictor
from foretell.search.strategy import Proposal, Strategy

SPACE = ft.spaces.get("nb201")


def threads() -> set[int]:
    return {one["num_threads"] for one in threadpool_info()}


class Watched(Predictor):
    has_std = False

    def __init__(self, space: ft.Space, random_state: int | None = None) -> None:
        self.space = space
        self.random_state = random_state

    def _fit(self, X, y, rng):
        self.fitted_ = threads()

    def _predict(self, X):
        self.predicted_ = threads()
        return np.arange(float(len(X))), None


class Asked(Strategy):
    def propose(self, space, history, n, rng):
        self.found = threads()
        return Proposal(space.sample(n, rng))


def test_fits_predictions_and_asks_take_one_thread_and_give_the_others_back():
    X = SPACE.sample(5, rng=0)
    with threadpool_limits(2):
        before = threads()
        model = Watched(SPACE).fit(X, np.arange(5.0))
        model.predict(X)
        strategy = Asked()
        ft.Search(SPACE, strategy=strategy, seed=0).ask(2)
        assert threads() == before
    assert 2 in before
    assert model.fitted_ == model.predicted_ == strategy.found == {1}


class Broken(Watched):
    def _fit(self, X, y, rng):
        raise ValueError("what a library says")


def test_they_come_back_after_an_error():
    with threadpool_limits(2):
        before = threads()
        with pytest.raises(ValueError, match="what a library says"):
            Broken(SPACE).fit(SPACE.sample(2, rng=0), [1.0, 2.0])
        assert threads() == before
