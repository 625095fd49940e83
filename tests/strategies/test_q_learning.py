"""`q-learning` against hand-worked updates of equation 3, one after the other."""

from __future__ import annotations

import numpy as np
import pytest

import foretell as ft
from foretell._rng import stream
from foretell.errors import SettingError
from foretell.search.history import History
from foretell.strategies.parts.policy import drawn
from foretell.strategies.parts.rewards import share_no_better
from foretell.strategies.q_learning import QLearning, _towards

SPACE = ft.spaces.get("nb201")
ALL = np.concatenate(list(SPACE.enumerate()))
TWO = ft.Space.from_choices({"a": [0, 1], "b": [0, 1, 2]}, build=print)


def fresh_table(strategy=None):
    return (strategy or QLearning()).values(TWO, History.empty(TWO))


def test_one_row_by_hand():
    Q = fresh_table()
    assert Q[0, 0].tolist() == [0.5, 0.5, -np.inf]
    assert Q[1, 1].tolist() == [0.5, 0.5, 0.5]
    after = QLearning(alpha=0.1).update(TWO, Q, np.array([[1, 2]]), np.array([0.8]))
    # the last decision first: 0.9 * 0.5 + 0.1 * 0.8; then the first: 0.9 * 0.5 + 0.1 * max(...)
    assert after[1, 1, 2] == pytest.approx(0.53)
    assert after[0, 0, 1] == pytest.approx(0.9 * 0.5 + 0.1 * 0.53)
    changed = np.argwhere(after != Q)
    assert changed.tolist() == [[0, 0, 1], [1, 1, 2]]
    assert Q[1, 1, 2] == 0.5, "the table before stays as it is"


def test_shaped_rewards_and_discount_by_hand():
    strategy = QLearning(alpha=0.5, gamma=0.9, shaped=True)
    after = strategy.update(TWO, fresh_table(), np.array([[0, 1]]), np.array([0.8]))
    assert after[1, 0, 1] == pytest.approx(0.5 * 0.5 + 0.5 * 0.4)  # 0.8 / 2 at each decision
    assert after[0, 0, 0] == pytest.approx(0.5 * 0.5 + 0.5 * (0.4 + 0.9 * 0.5))


def test_several_targets_of_one_value_count_in_their_order():
    rng = np.random.default_rng(0)
    state, action = rng.integers(0, 3, 50), rng.integers(0, 4, 50)
    target = rng.random(50)
    slow = np.full((3, 4), 0.5)
    for s, a, t in zip(state, action, target, strict=True):
        slow[s, a] = (1 - 0.3) * slow[s, a] + 0.3 * t
    quick = np.full((3, 4), 0.5)
    _towards(quick, state, action, target, 0.3)
    np.testing.assert_allclose(quick, slow)


def test_decisions_that_do_not_apply_learn_nothing():
    own = ft.Space.from_choices(
        {"depth": [1, 2], "width": ft.choice([8, 16, 32], repeat="depth")}, build=print
    )
    strategy = QLearning(alpha=0.5)
    Q = strategy.values(own, History.empty(own))
    row = own.from_str(["depth=1,width_0=16"])
    after = strategy.update(own, Q, row, np.array([1.0]))
    assert np.array_equal(after[2], Q[2])
    assert after[1, 0, 1] == pytest.approx(0.75)


def test_the_greedy_agent_takes_what_is_best():
    X = SPACE.sample(400, rng=0)
    history = History.of(SPACE, X, (X == 3).sum(axis=1))
    strategy = QLearning()
    Q = strategy.values(SPACE, history)
    best = [0]
    best.extend(int(table[best[-1]].argmax()) for table in Q)
    best = best[1:]
    assert (strategy._decide(SPACE, Q, 0.0, stream(0), 20) == best).all()
    chances = strategy._log_probability(SPACE, Q, 0.3, ALL)
    assert np.exp(chances).sum() == pytest.approx(1.0)
    drawn = strategy._decide(SPACE, Q, 0.3, stream(0), 20_000)
    share = (drawn == best).all(axis=1).mean()
    chance = np.exp(strategy._log_probability(SPACE, Q, 0.3, np.array([best])))[0]
    assert abs(share - chance) < 4 * np.sqrt(0.25 / 20_000)


def test_it_learns_what_is_good():
    search = ft.Search(SPACE, QLearning(repeats=True), seed=0)
    for _ in range(20):
        X = search.ask(10)
        search.tell(X, (X == 3).sum(axis=1))
    assert search.values[-50:].mean() > search.values[:50].mean() + 1


def test_rewards_do_not_change_when_more_is_known():
    y = np.array([0.3, 0.1, 0.9, 0.3, 0.2])
    assert share_no_better(y).tolist() == [1.0, 0.5, 1.0, 0.75, 0.4]
    assert share_no_better(y[:3]).tolist() == [1.0, 0.5, 1.0]


def test_a_policy_is_restricted_to_the_rows_that_there_are():
    from foretell.spaces.parts.listed import listed

    few = listed(SPACE, ALL[[5, 70, 800]])
    chances = {5: 0.7, 70: 0.3, 800: 0.0}
    logs = np.log(np.maximum(np.array([chances[i] for i in chances]), 1e-12))

    def log_probability(X):
        return logs[np.argmax((X[:, None] == ALL[[5, 70, 800]]).all(axis=2), axis=1)]

    got = [
        drawn(few, 1, lambda k: np.zeros((k, 6), dtype=int), log_probability, stream(seed))[0]
        for seed in range(60)
    ]
    assert not (np.array(got) == ALL[800]).all(axis=1).any()


def test_wrong_settings_are_refused():
    for wrong in ({"alpha": 0}, {"gamma": 2}, {"epsilon": -1}, {"batch": 0}, {"replay": -1}):
        with pytest.raises(SettingError, match="q-learning, "):
            QLearning(**wrong)
