"""RANK-NOSH's pyramid against a hand-worked example, its order of rows, and what it saves."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

import foretell as ft
from foretell._rng import stream
from foretell.errors import SettingError
from foretell.predictors.base import Predictor
from foretell.search.history import History
from foretell.strategies.rank_nosh import RankNOSH, reached

SPACE = ft.spaces.get("nb201")


def play(search, values, rounds):
    """(ids, epochs) of all asks of so many rounds; the value of row i after e epochs is given."""
    steps = []
    for _ in range(rounds):
        X, epochs = search.ask_epochs(search.round_size)
        while True:
            ids = search.ids(SPACE.row_key(X))
            steps.append(list(zip(ids, epochs.tolist(), strict=True)))
            search.tell(X, [values(i, e) for i, e in steps[-1]], epochs=epochs)
            if not search.due:
                break
            X, epochs = search.ask_epochs(search.due)
    return steps


def test_the_pyramid_by_hand():
    value = {0: 5, 1: 1, 2: 7, 3: 3, 4: 4, 5: 9, 6: 6, 7: 2}
    search = ft.Search(SPACE, RankNOSH(batch=4, predictor=Ridge()), max_epochs=8)
    steps = play(search, lambda i, e: value[i], 2)
    assert steps == [
        [(0, 1), (1, 1), (2, 1), (3, 1)],
        [(2, 2), (0, 2)],  # 2 of 4
        [(2, 4)],  # 1 of 2; of 1 nobody goes to the end
        [(4, 1), (5, 1), (6, 1), (7, 1)],
        [(5, 2), (6, 2)],  # 4 of 8: two more, the best of the paused, old and new together
        [(5, 4)],  # 2 of 4: one more
        [(5, 8)],  # 1 of 2, by the value at 4 epochs
    ]


def test_paused_trainings_are_resumed_rounds_later():
    value = {0: 5, 1: 8, 2: 7, 3: 3, 4: 1, 5: 0, 6: 2, 7: 1}
    search = ft.Search(SPACE, RankNOSH(levels=(1,), batch=4, predictor=Ridge()), max_epochs=2)
    steps = play(search, lambda i, e: value[i], 2)
    assert steps[1] == [(1, 2), (2, 2)]
    assert steps[3] == [(0, 2), (3, 2)], "rows of the first round, after worse ones came"


def test_levels_follow_from_a_whole_training():
    history = History.empty(SPACE, 40)
    assert RankNOSH().epochs(history) == (5, 10, 20, 40)
    assert RankNOSH(levels=(4, 12, 50)).epochs(history) == (4, 12, 40)
    assert RankNOSH().epochs(History.empty(SPACE, 2)) == (1, 2)
    with pytest.raises(SettingError, match="max_epochs"):
        ft.Search(SPACE, "rank-nosh").ask(1)
    for wrong in ({"levels": (3, 1)}, {"levels": (0, 1)}, {"share": 1.0}, {"batch": 0}):
        with pytest.raises(SettingError, match="rank-nosh, "):
            RankNOSH(**wrong)


class Remembers(Predictor):
    """Ranks at random, and keeps what it was taught."""

    def __init__(self, space, taught, random_state=None):
        self.space = space
        self.taught = taught
        self.random_state = random_state

    def __sklearn_clone__(self):
        return Remembers(self.space, self.taught)

    def _fit(self, X, y, rng):
        self.taught.append((X, y))

    def _predict(self, X):
        return X[:, 0].astype(float), None


def test_the_ranker_learns_the_level_first_and_then_the_value():
    taught = []
    X = SPACE.sample(5, rng=1)
    history = History.of(SPACE, X, [9, 8, 1, 2, 8], epochs=[1, 1, 4, 2, 1], max_epochs=4)
    assert reached(history).tolist() == [1, 0, 3, 2, 0], "equals share a place"
    strategy = RankNOSH(batch=2, share=0.1, predictor=Remembers(SPACE, taught))
    strategy.propose(SPACE, history, 2, stream(0))
    assert taught[0][1].tolist() == [1, 0, 3, 2, 0]
    assert np.array_equal(taught[0][0], X)


def test_what_is_known_before_any_training_chooses_among_the_ranked():
    taught = []
    X = SPACE.sample(30, rng=1)
    history = History.of(SPACE, X, np.zeros(30), epochs=4, max_epochs=4)
    made = {}
    for zero in (None, "size"):
        strategy = RankNOSH(batch=5, share=0.1, predictor=Remembers(SPACE, taught), zero=zero)
        made[zero] = strategy.propose(SPACE, history, 5, stream(0)).X
    params = {zero: SPACE.costs(rows).params for zero, rows in made.items()}
    assert (made["size"][:, 0] == 4).all(), "all of them are of the best ranked"
    assert params["size"].mean() > params[None].mean()


def test_it_waits_for_what_is_out():
    search = ft.Search(SPACE, RankNOSH(batch=4, predictor=Ridge()), max_epochs=8)
    X, _ = search.ask_epochs(4)
    search.tell(X[:3], [1.0, 2.0, 3.0])
    assert search.due == 0
    assert len(search.ask(4)) == 0
    search.tell(X[3:], [4.0])
    assert search.due == 2
