"""`Search`: ask and tell, in any order, and from a journal."""

from __future__ import annotations

import numpy as np
import pytest

import foretell as ft
from foretell.errors import DataError, SettingError, SpaceError
from foretell.strategies.brp_nas import BRPNAS

SPACE = ft.spaces.get("nb201")


def test_asked_rows_are_pending_until_told():
    search = ft.Search(SPACE, seed=0)
    X = search.ask(4)
    assert search.history.status.tolist() == [2, 2, 2, 2]
    search.tell(X[[2, 0]], [0.5, np.nan])
    assert search.history.status.tolist() == [0, 1, 2, 2]
    assert np.array_equal(search.history.X[2:], X[[1, 3]])
    assert search.best_value == 0.5
    assert np.array_equal(search.best, X[2])


def test_rows_that_were_never_asked_may_be_told():
    search = ft.Search(SPACE, seed=0)
    own = SPACE.sample(3, rng=9)
    search.tell(own, [1.0, 3.0, 2.0])
    assert np.array_equal(search.best, own[1])
    assert not np.isin(SPACE.row_key(search.ask(50)), SPACE.row_key(own)).any()


def test_direction_min_tells_values_back_as_they_came():
    search = ft.Search(SPACE, seed=0, direction="min")
    X = search.ask(3)
    search.tell(X, [3.0, 1.0, 2.0])
    assert search.best_value == 1.0
    assert search.values.tolist() == [3.0, 1.0, 2.0]
    assert search.history.y.tolist() == [-3.0, -1.0, -2.0]


def test_replay_is_checked_and_counts_as_an_ask():
    search = ft.Search(SPACE, seed=0)
    with pytest.raises(SpaceError):
        search.replay([[9] * 6])
    first = ft.Search(SPACE, seed=0)
    search.replay(first.ask(2))
    assert np.array_equal(search.ask(3), first.ask(3))
    assert np.array_equal(search.history.X, first.history.X)


def test_wrong_use():
    search = ft.Search(SPACE, seed=0)
    with pytest.raises(SettingError, match="n of at least 1"):
        search.ask(0)
    with pytest.raises(DataError, match="2 values"):
        search.tell(search.ask(2), [1.0])
    with pytest.raises(DataError, match="no result yet"):
        _ = search.best
    with pytest.raises(SettingError, match="direction"):
        ft.Search(SPACE, direction="up")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: ft.Search(SPACE).ask("2"), "ask, n: expected a whole number"),
        (lambda: ft.Search(SPACE).ask(2.5), "ask, n: expected a whole number"),
        (lambda: ft.Search(SPACE, max_epochs="9"), "max_epochs: expected a whole number"),
        (lambda: ft.Search(SPACE, max_epochs=-1), "max_epochs"),
        (lambda: ft.Search(SPACE, seed="a").ask(), "bad seed: expected a non-negative integer"),
        (lambda: ft.Search(SPACE, 5), "a catalog name, or a Strategy"),
        (lambda: ft.Search(SPACE, ft.strategies.get), "a catalog name, or a Strategy"),
        (lambda: ft.strategies.get("foresight", n_train=2.5), "n_train: expected a whole number"),
        (lambda: ft.strategies.get("bo", beta=float("nan")), "bo, beta: expected a number"),
        (lambda: ft.Search(SPACE, BRPNAS(per_round=4.5)), "BRPNAS, per_round"),
    ],
)
def test_settings_of_another_kind_are_one_line(wrong, says):
    with pytest.raises(SettingError, match=says):
        wrong()


@pytest.mark.parametrize(
    ("values", "more"),
    [
        (["a", "b"], {}),
        ([1j, 2.0], {}),
        ([1.0, 2.0], {"seconds": "x"}),
        ([1.0, 2.0], {"seconds": [1.0, 2.0, 3.0]}),
        ([1.0, 2.0], {"ended_s": {}}),
        ([1.0, 2.0], {"curves": {"val_acc": [["a"], ["b"]]}}),
    ],
)
def test_results_that_are_no_numbers_are_one_line(values, more):
    search = ft.Search(SPACE)
    with pytest.raises(DataError):
        search.tell(SPACE.sample(2, rng=0), values, **more)
    assert not len(search.history)
