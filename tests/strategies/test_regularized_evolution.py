"""`regularized-evolution` against a plain rendering of the paper's algorithm, and its figures."""

from __future__ import annotations

import numpy as np
import pytest

import foretell as ft
from foretell._rng import stream
from foretell.errors import SettingError
from foretell.search.history import History
from foretell.strategies.regularized_evolution import RegularizedEvolution

SPACE = ft.spaces.get("nb201")


def distance(a, b):
    return int((a != b).sum())


def results(n):
    """A history of `n` results."""
    X = next(SPACE.enumerate())[:n]
    return History.of(SPACE, X, np.zeros(n))


def test_a_child_is_one_mutation_of_the_winner():
    X = SPACE.sample(30, rng=0)
    y = np.arange(30.0)
    history = History.of(SPACE, X, y)
    # everybody is in the tournament
    greedy = RegularizedEvolution(population=10, sample_size=10, repeats=True)
    children = greedy.propose(SPACE, history, 20, stream(0)).X
    assert [distance(child, X[-1]) for child in children] == [1] * 20


def test_members_leave_by_age_and_failed_trials_do_not_count():
    X = SPACE.sample(30, rng=0)
    y = np.zeros(30)
    y[5] = 9.0  # the best of all, but too old
    y[25:] = np.nan  # failed
    y[18] = 1.0  # the best of the last 10 that finished: 15 to 24
    strategy = RegularizedEvolution(10, 10, repeats=True)
    children = strategy.propose(SPACE, History.of(SPACE, X, y), 15, stream(0)).X
    assert [distance(child, X[18]) for child in children] == [1] * 15


def test_tournaments_are_drawn_without_replacement():
    # of P = 4 members with S = 3, the worst two never win, the second best wins in 1 of 4
    X = np.array([[0] * 6, [1] * 6, [2] * 6, [3] * 6])
    history = History.of(SPACE, X, [0.0, 1.0, 2.0, 3.0])
    strategy = RegularizedEvolution(4, 3)
    wins = np.zeros(4)
    for seed in range(400):
        child = strategy.propose(SPACE, history, 1, stream(seed)).X[0]
        wins[np.argmin([distance(child, x) for x in X])] += 1
    assert wins[0] == wins[1] == 0
    assert abs(wins[2] / 400 - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 400)


def test_random_until_the_population_is_there():
    strategy = RegularizedEvolution(population=20, sample_size=5, batch=4)
    sizes = [strategy.round_size(results(done)) for done in (0, 15, 18, 20, 500)]
    assert sizes == [20, 5, 4, 4, 4]
    pending = History.empty(SPACE).with_pending(SPACE.sample(20, rng=0))
    assert len(strategy.propose(SPACE, pending, 5, stream(0)).X) == 5


def test_with_costs_the_population_is_that_of_nsga2():
    # values and parameters rise with the number of 3x3 convolutions, but for one row that is both
    # worse and larger than the others, and the youngest
    X = np.array([[3] * i + [1] * (6 - i) for i in range(7)] + [[2, 2, 2, 2, 2, 2]])
    y = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 0.5])
    params = SPACE.measure(X, ("params",))[:, 0]
    assert (np.diff(params[:7]) > 0).all()
    history = History.of(SPACE, X, y)
    strategy = RegularizedEvolution(7, 1, minimize=("params",), repeats=True)
    children = strategy.propose(SPACE, history, 60, stream(0)).X
    parents = [{i for i, x in enumerate(X) if distance(child, x) == 1} for child in children]
    assert all(parents)
    assert set.union(*parents) == set(range(7))  # each of the front, and never the last
    # tournaments of all: the ends of the front are the loneliest, and the first of them wins
    greedy = RegularizedEvolution(7, 7, minimize=("params",), repeats=True)
    children = greedy.propose(SPACE, history, 20, stream(0)).X
    assert [distance(child, X[0]) for child in children] == [1] * 20


def test_costs_take_the_place_of_age():
    X = SPACE.sample(30, rng=0)
    y = np.arange(30.0)[::-1]  # the oldest is the best
    small = np.argmin(SPACE.measure(X, ("params",))[:, 0])
    history = History.of(SPACE, X, np.where(np.arange(30) == small, 99.0, y))
    # one row is the best in both: the whole front, and the winner of each full tournament
    strategy = RegularizedEvolution(10, 10, minimize=("params",), repeats=True)
    children = strategy.propose(SPACE, history, 15, stream(0)).X
    assert [distance(child, X[small]) for child in children] == [1] * 15


@pytest.mark.parametrize("settings", [(5, 6, 1), (5, 0, 1), (5, 2, 0)])
def test_wrong_settings(settings):
    with pytest.raises(SettingError, match="1 <= sample_size <= population"):
        RegularizedEvolution(*settings)


def test_published_means_of_evolution_and_random(data_dir):
    # mean best validation of the data's description (30 seeds); here 40, so the difference of two
    # means has a standard error of s sqrt(1/30 + 1/40), and may be 3.5 of those
    table = ft.Table.open(data_dir / "nb201.csv.gz", space=SPACE)
    published = {
        "regularized-evolution": {50: 83.20, 100: 84.34, 150: 84.65, 200: 84.77},
        "random": {50: 83.42, 100: 83.74, 200: 84.10},
    }
    for name, means in published.items():
        curves = []
        for seed in range(40):
            search = ft.Search(SPACE, name, seed=seed)
            while (left := 200 - len(search.values)) > 0:
                X = search.ask(min(search.round_size or left, left))
                search.tell(X, table.query(X, "cifar10_val_12ep"))
            curves.append(np.maximum.accumulate(search.values))
        for n, mean in means.items():
            best = np.array(curves)[:, n - 1]
            error = best.std(ddof=1) * np.sqrt(1 / 30 + 1 / 40)
            assert abs(best.mean() - mean) < 3.5 * error, (name, n)
