"""SemiNAS: the rows and targets of its student, invariance; a real table."""

from __future__ import annotations

import numpy as np
import pytest

import foretell as ft
from foretell.errors import SettingError
from foretell.metrics import kendall
from foretell.predictors.nao import NAO
from foretell.predictors.seminas import SemiNAS
from foretell.spaces.base import Graphs

NB201 = ft.spaces.get("nb201")
FAST = {"hidden": 16, "members": 2, "epochs": 5, "min_steps": 20}


def fitted(model, n=60):
    X = model.space.sample(n, rng=0)
    return model.fit(X, (X == 1).sum(axis=1) + np.linspace(0.0, 0.1, n)), X


def test_the_student_sees_measured_and_predicted_rows(monkeypatch):
    """Rows and targets of both fits: n measured; then repeated measured rows, and predictions."""
    calls, before = [], NAO.fit

    def fit(self, X, y):
        calls.append((X, y))
        return before(self, X, y)

    monkeypatch.setattr(NAO, "fit", fit)
    _, X = fitted(SemiNAS(NB201, 100, epochs=1, settings=FAST, random_state=0), n=20)
    (first, y), (second, both) = calls
    assert len(first) == 20
    assert np.array_equal(second[:100], np.repeat(X, 5, axis=0))  # as many as are predicted
    assert np.array_equal(both[:100], np.repeat(y, 5))
    assert len(second) == len(both) == 200
    assert NB201.contains(second[100:]).all()
    assert len(np.unique(second[100:], axis=0)) > 90
    calls.clear()
    SemiNAS(NB201, 30, repeats=2, epochs=1, settings=FAST, random_state=0).fit(X, y)
    assert len(calls[1][0]) == 2 * 20 + 30


def test_unchanged_when_vertices_are_renamed():
    """A space that numbers its vertices otherwise gives the same predictions."""

    class Renamed(type(NB201)):
        def graphs(self, X):
            ops, adjacency = super().graphs(X)
            order = [0, 2, 1, 4, 3, 6, 5, 7]  # not always topological
            return Graphs(ops[:, order], adjacency[:, order][:, :, order])

    settings = {"unlabelled": 50, "epochs": 1, "settings": {"encoding": None, **FAST}}
    X = NB201.sample(30, rng=0)
    one, other = (
        fitted(SemiNAS(space, random_state=0, **settings))[0].predict(X)
        for space in (NB201, Renamed())
    )
    assert np.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"unlabelled": 0}, "unlabelled"),
        ({"repeats": 0}, "repeats"),
        ({"settings": {"width": 3}}, "'width'"),
    ],
)
def test_settings_are_checked(settings, word):
    with pytest.raises(SettingError, match=word):
        fitted(SemiNAS(NB201, **settings))


def test_ranks_a_real_table(data_dir):
    """60 cells of NAS-Bench-201 rank 500 others; published at 78 is .54."""
    table = ft.Table.open(data_dir / "nb201.csv.gz", space=NB201)
    rows = np.random.default_rng(123).permutation(len(table.X))[:560]
    X, y = table.X[rows], table.query(table.X[rows], "cifar10_test_200ep")
    model = SemiNAS(
        NB201, random_state=0, unlabelled=300, settings={"members": 1, "min_steps": 60, "epochs": 1}
    )
    assert kendall(y[60:], model.fit(X[:60], y[:60]).predict(X[60:])) > 0.6
