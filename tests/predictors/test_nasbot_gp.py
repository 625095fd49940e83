"""`nasbot-gp` against POT's exact solver on the transport with a null layer."""

from __future__ import annotations

import numpy as np
import pytest

import foretell as ft
from foretell.errors import SettingError
from foretell.predictors.nasbot_gp import NASBOTGP, Transport, _shift
from foretell.predictors.parts.exact import JITTER
from foretell.spaces.base import Graphs

NB201 = ft.spaces.get("nb201")
NB101 = ft.spaces.get("nb101")


def routes(ops, adjacency, word):
    """Lengths of all paths from the first vertex to each, and of the random walk back to it."""
    own = [1.0 if op >= 2 and word in (None, op) else 0.0 for op in ops]
    lengths = [[0.0] if v == 0 else [] for v in range(len(ops))]
    walk = [0.0] * len(ops)
    for v in range(1, len(ops)):
        before = np.flatnonzero(adjacency[:v, v])
        lengths[v] = [length + own[v] for u in before for length in lengths[u]]
        walk[v] = own[v] + (np.mean([walk[u] for u in before]) if len(before) else 0.0)
    return [
        (min(some), max(some), mean) if some else (0.0, 0.0, 0.0)
        for some, mean in zip(lengths, walk, strict=True)
    ]


def described(space, x):
    """Operation, mass and path lengths of each vertex of one graph that is there."""
    ops, adjacency = (part[0] for part in space.graphs(x[None]))
    words = [None, *range(2, len(space.vocabulary))]
    ahead = [routes(ops, adjacency, word) for word in words]
    behind = [routes(ops[::-1], adjacency[::-1, ::-1].T, word)[::-1] for word in words]
    total = (ops >= 2).sum()
    there = [v for v in range(len(ops)) if ops[v] >= 0]
    mass = [1.0 if ops[v] >= 2 else 0.1 * total for v in there]
    return ops[there], np.array(mass), np.array(
        [np.concatenate([part[v] for part in (*ahead, *behind)]) for v in there]
    )  # fmt: skip


def exact(space, a, b, nu, mismatch):
    """POT's network simplex, with one null layer on each side that takes any mass at cost 1."""
    ot = pytest.importorskip("ot")
    (ops_a, mass_a, place_a), (ops_b, mass_b, place_b) = described(space, a), described(space, b)
    cost = np.zeros((len(ops_a) + 1, len(ops_b) + 1))
    cost[-1, :-1] = cost[:-1, -1] = 1.0
    for i, one in enumerate(ops_a):
        for j, other in enumerate(ops_b):
            allowed = one == other or (one >= 2 and other >= 2)
            differs = mismatch * (one != other) if allowed else 1e4
            cost[i, j] = differs + nu * np.abs(place_a[i] - place_b[j]).mean()
    supply, demand = np.append(mass_a, mass_b.sum()), np.append(mass_b, mass_a.sum())
    return float(ot.emd2(supply, demand, cost))


@pytest.mark.parametrize("space", [NB201, NB101, ft.spaces.get("tabular")], ids=lambda s: s.name)
@pytest.mark.parametrize(("nu", "mismatch"), [(0.25, 1.0), (1.5, 0.3), (6.0, 2.0)])
def test_against_pot(space, nu, mismatch):
    X, new = (space.canonical_form(space.sample(8, rng=seed)) for seed in (0, 1))
    new = new[:5]
    (found,) = Transport(space, X, (nu,), mismatch).distances(new)
    expected = [[exact(space, a, b, nu, mismatch) for b in X] for a in new]
    assert np.allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("space", [NB201, NB101], ids=lambda s: s.name)
def test_is_a_distance(space):
    """Zero to itself, symmetric, and no detour is shorter."""
    X = space.canonical_form(space.sample(40, rng=3))
    for d in Transport(space, X, (0.25, 1.5), 1.0).own:
        assert np.allclose(np.diag(d), 0.0)
        assert np.allclose(d, d.T)
        assert (d[:, None, :] <= d[:, :, None] + d[None] + 1e-9).all()
        assert d.max() > 1.0


def test_vertices_may_be_renamed(monkeypatch):
    """Vertices in another topological order: the same distances."""
    X = NB201.sample(30, rng=0)
    metric = Transport(NB201, X, (0.5,), 1.0)
    graphs = NB201.graphs(X)
    order = np.array([0, 2, 1, 3, 4, 5, 6, 7])  # not both on a path, where they do not follow
    free = ~graphs.adjacency[:, 1, 2]
    other = Graphs(graphs.ops[:, order], graphs.adjacency[:, order][:, :, order])
    monkeypatch.setattr(
        NB201, "graphs", lambda rows: Graphs(other.ops[keep], other.adjacency[keep])
    )
    _, keep = np.unique(NB201.canonical(X), return_index=True)
    found = metric.distances(X)[0][free]
    assert free.sum() > 5
    assert np.allclose(found, metric.own[0][free])


def test_the_shift_is_the_smallest_that_makes_distances_euclidean():
    """Sides of squares 1, 1, 100 are no triangle; 33, 33, 132 lie on a line."""
    assert _shift(np.array([[0.0, 1, 1], [1, 0, 100], [1, 100, 0]])) == pytest.approx(32.0)
    assert _shift(np.array([[0.0, 1, 4], [1, 0, 1], [4, 1, 0]])) == pytest.approx(0.0, abs=1e-9)
    assert _shift(np.zeros((1, 1))) == 0.0


def test_process_by_hand():
    X = NB201.sample(40, rng=0)
    y = np.log1p(NB201.costs(X).params)
    new = NB201.sample(30, rng=2)
    model = NASBOTGP(NB201, encoding=None, kernel="rbf", target="value", random_state=0).fit(X, y)
    length, signal, noise = np.exp(model.learnt_[0].theta)
    metric = model.learnt_[0].metrics[0]
    prior, cross = (signal * np.exp(-metric.squares(A)[0] / (2 * length**2)) for A in (None, new))
    weights = np.linalg.solve(prior + (noise + JITTER) * np.eye(40), (y - y.mean()) / y.std())
    assert np.allclose(model.predict(new), cross @ weights * y.std() + y.mean(), rtol=1e-6)


def test_wrong_settings():
    X, y = NB201.sample(5, rng=0), np.arange(5)
    for settings, message in (
        ({"nus": ()}, "nus: expected one or more positive numbers"),
        ({"mismatch": 3}, "mismatch: expected 0 to 2, got 3"),
        ({"kernel": "linear"}, "kernel: expected matern, rbf or exponential"),
    ):
        with pytest.raises(SettingError, match=message):
            NASBOTGP(NB201, **settings).fit(X, y)


def test_on_the_real_table(beats_size):
    beats_size(NASBOTGP(NB201, random_state=0), 0.1, seed=0, n=100, n_test=500)
