"""The benchmark that comes with the package: what it holds, and that its rows can be had again."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import foretell as ft
from foretell import metrics
from foretell.evaluators.lookup import Lookup
from foretell.tables import finding

PERF = Path(__file__).parents[2] / "perf" / "make_nb201_digits.py"


@pytest.fixture(scope="module")
def table():
    return ft.Table.open("nb201-digits")


def test_cells_of_different_functions(table):
    assert "nb201-digits" in finding.installed()
    assert len(np.unique(table.space.canonical(table.X))) == len(table)
    assert set(table.curves) == {"train_loss", "val_loss", "val_acc"}
    assert {curve.shape for curve in table.curves.values()} == {(len(table), 12)}
    assert np.array_equal(table.column("val_acc"), table.curve("val_acc")[:, -1])


def test_sizes_are_those_of_the_networks_that_were_trained(table):
    assert (table.space.channels, table.space.n_cells) == (4, 1)
    model = table.space.build(table.X[0], (1, 8, 8), 10)
    assert table.column("params")[0] == sum(p.numel() for p in model.parameters())


def test_cells_differ_by_more_than_their_seeds():
    path = finding.path("nb201-digits")
    one, two = (finding.benchmark(path, repeat=k).columns["val_acc"].values for k in (0, 1))
    noise = np.std(one - two) / 2  # of the mean of both
    assert np.std((one + two) / 2) > 1.5 * noise
    assert metrics.kendall(one, two) > 0.25


def test_it_is_an_evaluator_with_curves(table):
    lookup = Lookup(table, "val_acc", seconds="train_s", test_metric="test_acc")
    found = lookup.evaluate(table.X[3], epochs=3)
    assert found.metrics["val_acc"] == table.curve("val_acc")[3, 2]
    assert found.seconds == pytest.approx(table.column("train_s")[3] / 4)


def test_a_row_trained_again_comes_to_the_same():
    """To the last digit on the machine that made it; elsewhere arithmetic rounds otherwise."""
    spec = importlib.util.spec_from_file_location("make_nb201_digits", PERF)
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    known = finding.benchmark(finding.path("nb201-digits"), repeat=1)
    arch = "".join(map(str, known.X[0].tolist()))
    again = dict(zip(make.FIELDS, make.trained(make.trainer(), arch, 1), strict=True))
    curve = [float(again[f"val_acc_{e}"]) for e in range(1, 13)]
    assert np.abs(np.array(curve) - known.curves["val_acc"][0]).max() < 0.1


def test_scores_lie_beside_the_cells(table):
    """Parameters are counted by the proxy, in the network, as by the closed form of the space."""
    counted = table.column("n-params")
    known = np.isfinite(counted)
    assert known.mean() > 0.5
    assert np.array_equal(counted[known], table.column("params")[known])
