from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import foretell as ft
from foretell.predictors.parts.rising import rising


def drawn(seed, n=25, f=4):
    rng = np.random.default_rng(seed)
    S = rng.normal(size=(n, f)) + rng.normal(size=(n, 1))  # alike, as totals are
    A = rng.normal(size=(n, n))
    return S, np.linalg.cholesky(0.3 * np.eye(n) + 0.05 * A @ A.T), rng


@pytest.mark.parametrize("seed", range(6))
def test_against_all_sets_of_slopes(seed, monkeypatch):
    """Of all sets, the one whose process has positive slopes, and no other wants in."""
    monkeypatch.setattr("foretell.predictors.parts.rising._CONTRADICTED", np.inf)
    S, L, rng = drawn(seed)
    y = S @ np.abs(rng.normal(size=4)) * [0.4] + L @ rng.normal(size=25)
    inverse = np.linalg.inv(L @ L.T)
    right = []
    for inside in product([False, True], repeat=4):
        T = S[:, inside]
        b = np.linalg.solve(T.T @ inverse @ T + np.eye(T.shape[1]), T.T @ inverse @ y)
        pull = S.T @ inverse @ (y - T @ b)
        if (b > 0).all() and (pull[~np.array(inside)] <= 0).all():
            right.append(inside)
    assert len(right) == 1
    assert tuple(rising(S, L, y, np.arange(4))) == right[0]


def test_noise_has_no_slope_against_it():
    """Of 200 features that say nothing hardly one in ten is turned round (7 in 100 by chance)."""
    turned = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(30, 1))
        y = rng.normal(size=30)
        falls = float(x[:, 0] @ y) < 0
        turned += falls and bool(rising(x, np.eye(30), y, np.zeros(1, dtype=int))[0])
    assert 4 <= turned <= 24


def test_a_group_is_turned_round_as_one():
    """Six columns that fall together, each of them too weak to be contradicted alone."""
    rng = np.random.default_rng(0)
    S = rng.normal(size=(40, 6))
    y = -0.2 * S.sum(axis=1) + 0.9 * rng.normal(size=40)
    L = np.eye(40)
    assert rising(S, L, y, np.zeros(6, dtype=int)).sum() >= 4
    alone = [rising(S[:, [i]], L, y, np.zeros(1, dtype=int))[0] for i in range(6)]
    assert sum(alone) < 4


def decoders(n, seed):
    """Layers of one width with inner widths, and heads that change nothing: rows and weights."""
    space = ft.Space.from_choices(
        {
            "layers": [4, 5, 6, 7, 8],
            "dim": [64, 128, 256],
            "inner": ft.choice([128, 192, 256, 384, 512], repeat="layers"),
            "heads": ft.choice([2, 4, 8], repeat="layers"),
        },
        build=print,
    )
    X = space.canonical_form(space.sample(n, rng=seed))
    there = space.active(X)
    inner = np.array([128, 192, 256, 384, 512])[X[:, 2:10]] * there[:, 2:10]
    dim = 64.0 * 2 ** X[:, 1]
    return space, X, dim * (4 * (X[:, 0] + 4) * dim + 2 * inner.sum(axis=1))


@pytest.mark.parametrize("sign", [1, -1])
def test_where_size_orders_the_rows_it_is_learnt_from_20_of_them(sign):
    """As good as the size itself, which no row tells; and as good where smaller is better."""
    ours, sizes = [], []
    for seed in range(4):
        space, X, weights = decoders(520, seed)
        noise = np.random.default_rng(seed).normal(size=520)
        y = sign * np.log(weights) + 0.08 * noise
        model = ft.predictors.get("gp", space=space, random_state=0).fit(X[:20], y[:20])
        ours.append(ft.metrics.kendall(y[20:], model.predict(X[20:])))
        sizes.append(ft.metrics.kendall(y[20:], sign * weights[20:]))
    assert min(sizes) > 0.9
    assert np.mean(ours) > np.mean(sizes) - 0.02
