"""`gp-wl` against Weisfeiler-Lehman labels kept in dictionaries, and its process by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import foretell as ft
from foretell.errors import SettingError
from foretell.predictors.gp_wl import GPWL, WeisfeilerLehman
from foretell.predictors.parts.exact import JITTER
from foretell.spaces.base import Graphs

NB201 = ft.spaces.get("nb201")
NB101 = ft.spaces.get("nb101")


def naive(space, x, iterations):
    """Labels of one graph as nested tuples, counted, for 0 to `iterations` steps."""
    ops, adjacency = (part[0] for part in space.graphs(x[None]))
    there = [v for v in range(len(ops)) if ops[v] >= 0]
    label = {v: (int(ops[v]),) for v in there}
    levels = [Counter(label.values())]
    for _ in range(iterations):
        label = {
            v: (
                label[v],
                tuple(sorted(repr(label[u]) for u in there if adjacency[u, v])),
                tuple(sorted(repr(label[u]) for u in there if adjacency[v, u])),
            )
            for v in there
        }
        levels.append(Counter(label.values()))
    return levels


@pytest.mark.parametrize("space", [NB201, NB101, ft.spaces.get("tabular")], ids=lambda s: s.name)
@pytest.mark.parametrize("cumulative", [False, True])
def test_against_dictionaries(space, cumulative):
    X, new = space.canonical_form(space.sample(12, rng=0)), space.sample(9, rng=1)
    found = WeisfeilerLehman(space, X, 3, cumulative).squares(new)
    rows, columns = ([naive(space, x, 3) for x in part] for part in (new, X))
    for h in range(4):
        for i, a in enumerate(rows):
            for j, b in enumerate(columns):
                levels = range(h + 1) if cumulative else [h]
                paired = sum((a[g] & b[g]).total() for g in levels)
                size = len(levels) * np.sqrt(a[0].total() * b[0].total())
                assert found[h][i, j] == pytest.approx(2 - 2 * paired / size, abs=1e-12)


def test_vertices_may_be_renamed(monkeypatch):
    """Distances of graphs whose inner vertices are shuffled are zero."""
    X = NB101.sample(20, rng=0)
    graphs = NB101.graphs(X)
    metric = WeisfeilerLehman(NB101, X, 3)
    order = np.array([0, 4, 2, 5, 1, 3, 6])
    other = Graphs(graphs.ops[:, order], graphs.adjacency[:, order][:, :, order])
    monkeypatch.setattr(NB101, "graphs", lambda X: other)
    for level in metric.squares(X):
        assert np.allclose(np.diag(level), 0.0, atol=1e-12)
        assert level.max() > 0.1


def made(n, seed=0):
    X = NB201.sample(n, rng=seed)
    return X, np.log1p(NB201.costs(X).params) + 0.1 * np.random.default_rng(seed).normal(size=n)


def test_process_of_the_paper_by_hand():
    """The linear kernel without an encoding: mean and deviation from the dense inverse."""
    X, y = made(40)
    new = NB201.sample(30, rng=2)
    model = GPWL.paper(NB201, random_state=0, iterations=1).fit(X, y)
    (h,) = model.learnt_[0].subset
    metric = WeisfeilerLehman(NB201, NB201.canonical_form(X), h, cumulative=True)
    length, signal, noise = np.exp(model.learnt_[0].theta)
    prior, cross = (signal * (1 - metric.squares(A)[h] / (2 * length**2)) for A in (None, new))
    inverse = np.linalg.inv(prior + (noise + JITTER) * np.eye(len(y)))
    mean, std = model.predict(new, return_std=True)
    expected = cross @ inverse @ (y - y.mean()) / y.std()
    assert np.allclose(mean, expected * y.std() + y.mean(), rtol=1e-6)
    variance = signal - np.einsum("ij,jk,ik->i", cross, inverse, cross)
    calibrated = model.shrink_ * (variance + noise) + model.widen_
    assert np.allclose(std, np.sqrt(calibrated) * y.std(), rtol=1e-4)


def test_evidence_chooses_the_iterations():
    """A sum over the operations needs no neighbourhoods; which one is before which one does."""
    X = NB101.sample(150, rng=0)
    ops, adjacency = NB101.graphs(X)
    counts = (ops == 3).sum(axis=1) + 0.5 * (ops == 4).sum(axis=1)
    before = (adjacency & (ops == 3)[:, :, None] & (ops == 4)[:, None, :]).sum(axis=(1, 2))
    noise = 0.02 * np.random.default_rng(0).normal(size=len(X))
    settings = {"encoding": None, "target": "value", "cumulative": True, "random_state": 0}
    assert GPWL(NB101, **settings).fit(X, counts + noise).learnt_[0].subset == (0,)
    assert GPWL(NB101, **settings).fit(X, before + noise).learnt_[0].subset > (0,)


def test_wrong_settings():
    X, y = made(5)
    with pytest.raises(SettingError, match="iterations: expected a whole number from 0, got -1"):
        GPWL(NB201, iterations=-1).fit(X, y)
    with pytest.raises(SettingError, match="kernel: expected one of matern, rbf"):
        GPWL(NB201, kernel="cubic").fit(X, y)


def test_on_the_real_table(beats_size):
    beats_size(GPWL(NB201, random_state=0), 0.1, seed=0, n=172)
