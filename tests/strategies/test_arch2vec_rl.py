"""arch2vec-RL: the density of a walk by hand, the nearest new row, and that it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

import foretell as ft
from foretell.errors import SettingError
from foretell.search.history import History
from foretell.strategies.arch2vec_rl import Arch2VecRL
from foretell.strategies.parts.walker import expected, learnt, walk

SPACE = ft.spaces.get("nb201")


def test_the_density_is_that_of_a_normal_around_what_the_walk_before_makes_expect():
    now = walk(3, 8, 0.01, 0)
    Z = np.random.default_rng(0).normal(size=(5, 3))
    got = now.walker.log_density(torch.from_numpy(Z)).detach().numpy()
    exact = [
        multivariate_normal.logpdf(Z[t], expected(now.walker, Z[:t]), np.eye(3)) for t in range(5)
    ]
    np.testing.assert_allclose(got, exact)


def test_a_step_goes_towards_what_was_rewarded_and_leaves_the_old_one():
    now = walk(2, 8, 0.05, 0)
    Z = np.array([[2.0, 2.0], [-2.0, -2.0]] * 8)
    rewards = np.array([1.0, 0.0] * 8)
    start = expected(now.walker, Z[:0])
    later = now
    for _ in range(30):
        later = learnt(later, Z, rewards, 0.9)
    assert np.array_equal(expected(now.walker, Z[:0]), start)
    assert expected(later.walker, Z[:0]).mean() > start.mean() + 0.5
    assert later.baseline == pytest.approx(0.5)


def test_the_nearest_new_row_is_taken():
    strategy = Arch2VecRL("one-hot", batch=4)
    search = ft.Search(SPACE, strategy, seed=0)
    X = search.ask(4)
    encode, table, Z = strategy._map(SPACE)
    assert len(table) == SPACE.size
    np.testing.assert_allclose(encode(table[:50]), Z[:50])
    np.testing.assert_allclose(Z.std(axis=0), 1.0)
    assert len(np.unique(SPACE.canonical(X))) == 4
    large = ft.spaces.get("nb301")
    assert len(strategy._map(large)[1]) == strategy.rows


def test_the_policy_is_a_function_of_whole_batches():
    strategy = Arch2VecRL("one-hot", hidden=8, batch=4)
    X = SPACE.sample(11, rng=0)
    history = History.of(SPACE, X, (X == 3).sum(axis=1))
    a, b = strategy.walk(SPACE, history), strategy.walk(SPACE, history[:8])
    assert a.baseline == b.baseline
    assert strategy.walk(SPACE, history[:3]).baseline is None
    with pytest.raises(SettingError, match="arch2vec-rl, batch"):
        Arch2VecRL(batch=0)
