"""OMNI is an expression: what it says is what its parts say side by side."""

from __future__ import annotations

import numpy as np
import pytest

import foretell as ft
from foretell import metrics
from foretell._rng import stream
from foretell.evaluators.lookup import Lookup
from foretell.evidence import Curve, Told
from foretell.predictors.ngb import NGB
from foretell.predictors.omni import Omni

pytest.importorskip("ngboost")


@pytest.fixture(scope="module")
def table():
    return ft.Table.open("nb201-digits")


def test_it_is_ngb_on_all_of_them(table, tmp_path):
    X, y = table.X[:60], table.column("val_acc")[:60]
    with ft.evidence.ledger(tmp_path):
        parts = (Told("params", table), Curve("sotl-e", Lookup(table, "val_acc"), 3))
        omni = Omni.paper(table.space, parts, settings={"trees": 20}, random_state=4).fit(X, y)
        seed = int(stream(4, "fit").integers(2**31))
        ngb = NGB(table.space, trees=20, encoding=("path", *parts), random_state=seed).fit(X, y)
        both = [m.predict(table.X[60:120], return_std=True) for m in (omni, ngb)]
    assert np.array_equal(both[0], both[1])


def test_a_curve_helps(table, tmp_path):
    """After half of the epochs it orders better than what reads the row alone."""
    n = len(table) // 2
    y = table.column("val_acc")
    with ft.evidence.ledger(tmp_path):
        curve = Curve("early-stop-acc", Lookup(table, "val_acc"), 6)
        taus = [
            metrics.kendall(
                y[n:],
                Omni(table.space, evidence, settings={"trees": 60}, random_state=0)
                .fit(table.X[:n], y[:n])
                .predict(table.X[n:]),
            )
            for evidence in ((curve,), ())
        ]
    assert taus[0] > taus[1] + 0.05


def test_a_handful_of_results_does_not_spoil_the_curves(table, tmp_path):
    """With 14 results it is what the curves say; as a column among paths they are half lost."""
    y, taus = table.column("val_acc"), []
    with ft.evidence.ledger(tmp_path):
        curve = Curve("sotl-e", Lookup(table, "val_loss", "min"), 6, space=table.space)
        for seed in range(5):
            order = np.random.default_rng(seed).permutation(len(table))
            test, train = order[:200], order[200:214]
            settings = {"settings": {"trees": 60}, "random_state": seed}
            told = [
                make(table.space, (curve,), **settings).fit(table.X[train], y[train])
                for make in (Omni, Omni.paper)
            ]
            said = [curve.values(table.X[test])[:, 0], *(m.predict(table.X[test]) for m in told)]
            taus.append([metrics.kendall(y[test], one) for one in said])
    alone, ours, papers = np.mean(taus, axis=0)
    assert ours > alone - 0.02
    assert ours > papers + 0.05
