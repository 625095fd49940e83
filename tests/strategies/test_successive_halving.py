"""Successive halving against a hand-worked example, and as a function of the past."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

import foretell as ft
from foretell.errors import SettingError
from foretell.search.history import History
from foretell.strategies.parts.brackets import foretold, rungs
from foretell.strategies.successive_halving import SuccessiveHalving

SPACE = ft.spaces.get("nb201")


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ((1, 3, 1), (1,)),
        ((1, 3, 9), (1, 3, 9)),
        ((3, 2, 20), (3, 6, 12, 20)),
        ((30, 3, 20), (20,)),
    ],
)
def test_rungs_grow_by_eta_up_to_the_end(setting, expected):
    assert rungs(*setting) == expected


def climb(strategy, value, n, max_epochs, fail=()):
    """Carry a search out for one bracket; `value(i, epochs)`; what was trained, in order."""
    search = ft.Search(SPACE, strategy, seed=0, max_epochs=max_epochs)
    steps = []
    X, epochs = search.ask_epochs(n)
    while len(X):
        ids = search.ids(search.space.row_key(X))
        steps.append(list(zip(ids, epochs.tolist(), strict=True)))
        values = [np.nan if (i, e) in fail else value(i, e) for i, e in steps[-1]]
        search.tell(X, values, epochs=epochs)
        if not search.due:
            return steps, search
        X, epochs = search.ask_epochs(search.due)
    raise AssertionError("nothing was due and yet asked")


def test_one_in_eta_goes_on_and_it_is_the_best():
    steps, _ = climb(SuccessiveHalving(), lambda i, e: float(i), 18, 9)
    assert steps[0] == [(i, 1) for i in range(18)]
    assert steps[1] == [(i, 3) for i in (17, 16, 15, 14, 13, 12)]
    assert steps[2] == [(17, 9), (16, 9)]
    assert len(steps) == 3


def test_the_order_may_turn_at_a_rung():
    values = {1: [3, 1, 4, 2, 5, 0], 2: [7, 0, 6, 0, 5, 0], 4: [1, 0, 2, 0, 0, 0]}
    steps, search = climb(SuccessiveHalving(eta=2), lambda i, e: values[e][i], 6, 4)
    assert [[i for i, _ in step] for step in steps] == [list(range(6)), [4, 2, 0], [0, 2]]
    assert search.ids(search.space.row_key(search.best[None])) == [2], (
        "of those that went to the end"
    )


def test_ties_go_to_the_older_and_failures_make_room():
    steps, _ = climb(SuccessiveHalving(eta=2), lambda i, e: 0.5, 4, 2, fail={(0, 1)})
    assert steps[1] == [(1, 2), (2, 2)], "2 of the 3 that are left"
    steps, _ = climb(SuccessiveHalving(eta=2), lambda i, e: 0.5, 4, 2, fail={(0, 2), (1, 2)})
    assert steps[1:] == [[(0, 2), (1, 2)], [(2, 2)]], "the next best where all that went failed"


def test_a_round_that_fails_is_done():
    everything = {(i, 1) for i in range(3)}
    steps, search = climb(SuccessiveHalving(), lambda i, e: 1.0, 3, 3, fail=everything)
    assert len(steps) == 1
    assert len(search.ask(3)) == 3, "a new bracket"
    assert search.n_rows == 6


@given(n=st.integers(1, 30), eta=st.integers(2, 4), seed=st.integers(0, 1000))
def test_every_bracket_ends_with_the_best_of_it(n, eta, seed):
    values = np.random.default_rng(seed).random(n)
    steps, search = climb(SuccessiveHalving(eta=eta), lambda i, e: values[i], n, 20)
    assert int(np.argmax(values)) in search.history.full.ids
    assert len({one for step in steps for one in step}) == sum(map(len, steps)), "once each"


def test_it_waits_for_what_is_out_and_keeps_brackets_apart():
    search = ft.Search(SPACE, SuccessiveHalving(eta=2, bracket=4), max_epochs=2)
    X, epochs = search.ask_epochs(4)
    assert search.round_size == 4
    search.tell(X[:3], [0.1, 0.2, 0.3])
    assert search.due == 0
    assert len(search.ask(4)) == 0, "the fourth is still out"
    search.tell(X[3:], [0.4])
    assert search.round_size == search.due == 2
    X, epochs = search.ask_epochs(2)
    search.tell(X, [0.5, 0.6], epochs=epochs)
    X, _ = search.ask_epochs(4)
    search.tell(X, [0.0] * 4)  # worse than the first bracket, and compared with itself alone
    rest, epochs = search.ask_epochs(2)
    assert np.isin(SPACE.row_key(rest), SPACE.row_key(X)).all()
    assert epochs.tolist() == [2, 2]


def test_a_bracket_is_as_large_that_one_goes_all_the_way():
    search = ft.Search(SPACE, SuccessiveHalving(eta=3), max_epochs=27)
    assert search.round_size == 27
    assert ft.Search(SPACE, SuccessiveHalving(eta=3, min_epochs=9), max_epochs=27).round_size == 3


def test_new_rows_come_from_the_sampler_which_sees_what_might_have_become():
    X = SPACE.sample(40, rng=3)
    X = X[np.sort(np.unique(SPACE.row_key(X), return_index=True)[1])][:30]
    y = (X == 3).sum(axis=1) / 10.0
    history = History.of(SPACE, X, y, epochs=1, asks=0, max_epochs=9)
    top = np.argsort(-y)[:3]
    history = history.append(X[top], y[top] + [0.2, 0.3, 0.7], epochs=9, ids=top, asks=0)
    seen = foretold(history)
    assert len(seen) == 30
    expected = y + 0.3  # the median of what the three have gained
    expected[top] = y[top] + [0.2, 0.3, 0.7]
    np.testing.assert_allclose(seen.y, expected)

    inner = ft.strategies.get("neural-predictor", n_train=10, predictor=Ridge())
    from foretell._rng import stream

    mine = SuccessiveHalving(inner).propose(SPACE, history, 5, stream(0))
    theirs = inner.propose(SPACE, seen, 5, stream(0))
    assert np.array_equal(mine.X, theirs.X)
    assert mine.epochs.tolist() == [1] * 5
    assert mine.ranking is not None, "what led to it is handed on"


def test_estimates_are_the_value_itself_while_nothing_is_whole():
    X = SPACE.sample(3, rng=0)
    history = History.of(SPACE, X, [0.1, 0.2, 0.3], epochs=[1, 1, 3], max_epochs=9)
    assert foretold(history).y.tolist() == [0.1, 0.2, 0.3]


@pytest.mark.parametrize("settings", [{"eta": 1}, {"eta": 2.5}, {"min_epochs": 0}, {"bracket": 0}])
def test_wrong_settings_are_refused(settings):
    with pytest.raises(SettingError, match="halving"):
        SuccessiveHalving(**settings)


def test_how_long_a_training_is_must_be_known():
    with pytest.raises(SettingError, match="max_epochs"):
        ft.Search(SPACE, "successive-halving").ask(3)
    with pytest.raises(SettingError, match="max_epochs"):
        ft.Search(SPACE, "successive-halving", max_epochs=-1)
