"""`hyperband` against the table of its paper, worked by hand; `kde` and so `bohb` by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import foretell as ft
from foretell._rng import stream
from foretell.errors import SettingError
from foretell.search.history import History
from foretell.strategies.hyperband import Hyperband
from foretell.strategies.kde import KDE, log_density
from foretell.strategies.parts.brackets import bracket_sizes

SPACE = ft.spaces.get("nb201")
# Li et al., JMLR 2018, algorithm 1 for R = 81 and eta = 3: (rows, epochs) of each bracket
PAPER = [
    [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
    [(34, 3), (11, 9), (3, 27), (1, 81)],
    [(15, 9), (5, 27), (1, 81)],
    [(8, 27), (2, 81)],
    [(5, 81)],
]


def steps_of(search, n):
    """(ids, epochs) of each ask, until `n` rows came and nothing is due; value: the id, mixed."""
    steps = []
    while search.n_rows < n or search.due:
        X, epochs = search.ask_epochs(search.round_size)
        ids = np.array(search.ids(SPACE.row_key(X)))
        steps.append((ids, epochs))
        search.tell(X, ids * 37 % 101, epochs=epochs)
    return steps


def test_brackets_are_those_of_the_paper():
    assert bracket_sizes(5, 3) == tuple(bracket[0][0] for bracket in PAPER)
    steps = steps_of(ft.Search(SPACE, Hyperband(), max_epochs=81), 143)
    assert [(len(ids), set(epochs.tolist())) for ids, epochs in steps] == [
        (n, {epochs}) for bracket in PAPER for n, epochs in bracket
    ]


def test_the_best_of_their_bracket_go_on_and_it_begins_again():
    steps = steps_of(ft.Search(SPACE, Hyperband(eta=2), max_epochs=4), 14)
    assert [len(ids) for ids, _ in steps] == [4, 2, 1, 3, 1, 3, 4, 2, 1]
    for (before, _), (after, _) in itertools.pairwise(steps):
        if len(after) < len(before):
            best = before[np.argsort(-(before * 37 % 101))][: len(after)]
            assert after.tolist() == best.tolist()
    assert steps[6][0].tolist() == [10, 11, 12, 13], "new rows, from the first rung"
    assert steps[6][1].tolist() == [1] * 4


def test_a_bracket_that_came_in_two_parts_is_one():
    search = ft.Search(SPACE, Hyperband(eta=3), max_epochs=9)
    for n in (5, 4):
        while search.due:
            X, epochs = search.ask_epochs(search.due)
            search.tell(X, search.ids(SPACE.row_key(X)), epochs=epochs)
        X, epochs = search.ask_epochs(n)
        assert epochs.tolist() == [1] * n
        search.tell(X, search.ids(SPACE.row_key(X)), epochs=epochs)
    X, epochs = search.ask_epochs(9)
    assert epochs.tolist() == [3, 3], "floor(9 / 3) less the one that went on of the first five"
    assert search.ids(SPACE.row_key(X)) == [8, 7]


def test_failures_make_room_for_the_next_best():
    search = ft.Search(SPACE, Hyperband(eta=3), max_epochs=3)
    X, epochs = search.ask_epochs(3)
    search.tell(X, [0.1, 0.2, 0.3], epochs=epochs)
    X, epochs = search.ask_epochs(1)
    search.tell(X, [np.nan], epochs=epochs)
    again, epochs = search.ask_epochs(1)
    assert search.ids(SPACE.row_key(again)) == [1]
    with pytest.raises(SettingError, match="max_epochs"):
        ft.Search(SPACE, "hyperband").ask(1)


# -- the model of BOHB ----------------------------------------------------------------------------

TWO = ft.Space.from_choices({"a": [0, 1], "b": [0, 1, 2]}, build=print)
ROWS = np.concatenate(list(TWO.enumerate()))


def test_density_by_hand():
    members = np.array([[0, 0], [1, 2]])
    h = np.array([0.2, 0.3])
    p = np.exp(log_density(TWO, members, h, ROWS))
    assert p.sum() == pytest.approx(1.0)
    at = {tuple(x): float(one) for x, one in zip(ROWS.tolist(), p, strict=True)}
    assert at[0, 0] == pytest.approx((0.8 * 0.7 + 0.2 * 0.15) / 2)
    assert at[1, 1] == pytest.approx((0.2 * 0.15 + 0.8 * 0.15) / 2)


def test_bandwidth_by_hand():
    members = np.array([[0, 0], [0, 1], [0, 2], [0, 2]])
    h = KDE().bandwidth(TWO, members)
    assert h[0] == 1e-3, "all alike"
    share = np.array([0.25, 0.25, 0.5])
    exact = 1.06 * np.sqrt((1 - (share**2).sum()) / 2) * 4 ** (-1 / 6)
    assert h[1] == pytest.approx(exact)
    np.testing.assert_allclose(KDE(least=5.0).bandwidth(TWO, members), [0.5, 2 / 3])


def test_the_most_epochs_with_enough_results_count():
    X = SPACE.sample(40, rng=0)
    y = np.arange(40.0)
    history = History.of(SPACE, X, y, epochs=1, max_epochs=9)
    history = history.append(X[:20], -y[:20], epochs=3, ids=np.arange(20))
    history = history.append(X[:5], y[:5], epochs=9, ids=np.arange(5))
    good, bad = KDE().split(history, 7)
    assert np.array_equal(good, X[:7]), "7 of the 20 that have 3 epochs, the best of them there"
    assert np.array_equal(bad, X[7:20])
    good, bad = KDE(good=0.25).split(history, 8)
    assert len(good) + len(bad) == 20
    assert KDE().split(history[:10], 7) is None


def test_bohb_is_hyperband_whose_rows_follow_the_model():
    bohb = ft.strategies.get("bohb")
    assert isinstance(bohb, Hyperband)
    X = SPACE.sample(60, rng=0)
    history = History.of(SPACE, X, (X == 3).sum(axis=1), epochs=1, max_epochs=81, asks=0)
    history = history[np.unique(SPACE.row_key(X), return_index=True)[1]]
    new = bohb.newcomers(SPACE, history, 60, stream(0)).X
    assert (new == 3).mean() > (X == 3).mean() + 0.15
    assert not np.isin(SPACE.canonical(new), SPACE.canonical(X)).any()
    even = KDE(random=1.0).propose(SPACE, history, 60, stream(0)).X
    assert abs((even == 3).mean() - 0.2) < 0.1
