"""What several tests of predictors share."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import foretell as ft
from foretell.metrics import kendall

NB201 = ft.spaces.get("nb201")


def beside(name):
    """The module of a file of this folder that is no test."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def gates():
    """`gates_by_hand.py`."""
    return beside("gates_by_hand")


@pytest.fixture(scope="session")
def sparse():
    """`sparse_by_hand.py`."""
    return beside("sparse_by_hand")


@pytest.fixture(scope="session")
def trees():
    """`trees_beside_peers.py`."""
    return beside("trees_beside_peers")


@pytest.fixture(scope="session")
def protocol(data_dir):
    """Training and test rows and targets of NAS-Bench-201, all drawn by one seed."""
    table = ft.Table.open(data_dir / "nb201.csv.gz", space=NB201)
    y = table.column("cifar10_test_200ep")

    def drawn(seed, n, n_test=2000):
        order = np.random.default_rng(seed).permutation(len(table))
        test, train = order[:n_test], order[2000 : 2000 + n]
        return table.X[train], y[train], table.X[test], y[test]

    return drawn


@pytest.fixture(scope="session")
def beats_size(protocol):
    """Asserts that a predictor orders test rows better than the size does, by a margin in tau."""

    def check(model, margin, *, seed=100, n=78, n_test=2000):
        X, y, T, truth = protocol(seed, n, n_test)
        size = ft.predictors.get("n-params", space=NB201)
        tau, other = (kendall(truth, one.fit(X, y).predict(T)) for one in (model, size))
        assert tau > other + margin, (tau, other)

    return check


@pytest.fixture(scope="session")
def compares_as_it_ranks():
    """Asserts that `compare` is antisymmetric and sides with the ranking; on rows of NB201."""

    def check(model):
        A, B = NB201.sample(100, rng=1), NB201.sample(100, rng=2)
        wins = model.compare(A, B)
        np.testing.assert_allclose(wins + model.compare(B, A), 1.0, atol=1e-6)
        np.testing.assert_allclose(model.compare(A, A), 0.5, atol=1e-6)
        a, b = model.predict(A), model.predict(B)
        clear = np.abs(a - b) > 0.5
        assert clear.sum() > 20
        assert ((wins > 0.5) == (a > b))[clear].mean() > 0.95

    return check
