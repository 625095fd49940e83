"""`Lookup`: a table evaluates as a training would, with epochs, seconds and a test split."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import foretell as ft
from foretell.errors import DataError, SettingError
from foretell.evaluators.lookup import Lookup
from foretell.tables.table import Table

SPACE = ft.spaces.get("nb201")
X = SPACE.sample(4, rng=0)
CURVE = [[0.1, 0.2, 0.6], [0.3, 0.4, 0.5], [0.2, np.nan, np.nan], [0.3, 0.3, 0.3]]


@pytest.fixture
def table():
    columns = {
        "val_acc": [0.6, 0.5, np.nan, 0.3],
        "test_acc": [0.55, np.nan, 0.1, 0.2],
        "train_s": [30.0, 60.0, 90.0, 9.0],
        "acc_1": [0.1, 0.2, 0.3, 0.4],
        "acc_9": [0.4, 0.3, 0.2, 0.1],
        "text": ["a", "b", "c", "d"],
    }
    return Table(SPACE, X, columns, {"val_acc": CURVE, "test_acc": CURVE, "train_loss": CURVE})


def test_values_curves_and_seconds_up_to_an_epoch(table):
    lookup = pickle.loads(pickle.dumps(Lookup(table, "val_acc", seconds="train_s")))
    assert (lookup.objective, lookup.epochs, lookup.direction) == ("val_acc", 3, "max")
    part, whole = lookup.evaluate(X[0], epochs=2), lookup.evaluate(X[0], seed=5)
    assert (part.metrics, part.epochs, part.seconds) == ({"val_acc": 0.2}, 2, 20.0)
    assert (whole.metrics, whole.epochs, whole.seconds) == ({"val_acc": 0.6}, 3, 30.0)
    assert whole.seed == 5
    assert part.curve == {"val_acc": [0.1, 0.2], "train_loss": [0.1, 0.2]}


def test_test_results_are_not_among_what_a_search_sees(table):
    lookup = Lookup(table, "val_acc", test_metric="test_acc")
    result = lookup.evaluate(X[0])
    assert not [name for name in (*result.metrics, *result.curve) if "test" in name]
    assert lookup.test(X[0]) == {"test_acc": 0.55}
    assert lookup.test(X[1]) == {}, "nothing is known of it"
    for name in ("test_acc", {3: "test_acc"}):
        with pytest.raises(SettingError, match="may not read 'test_acc'"):
            Lookup(table, name)
    for name in ("x-test", "TestAccuracy", "cifar10.test.acc", "testacc", "bestTestAcc"):
        with pytest.raises(SettingError, match="may not read"):
            Lookup(table, name)
    latest = ft.Table(
        table.space,
        table.X,
        {"valid_acc50": np.ones(len(table)), "latest": 1.0 * np.arange(len(table))},
    )
    assert Lookup(latest, "valid_acc50").objective == "valid_acc50"
    assert Lookup(latest, "latest").objective == "val_latest"


def test_what_diverged_has_failed_and_cost_its_seconds(table):
    lookup = Lookup(table, "val_acc", seconds="train_s")
    assert lookup.evaluate(X[2], epochs=1).ok
    result = lookup.evaluate(X[2], epochs=2)
    assert not result.ok
    assert result.seconds == 60.0
    stranger = next(x for x in SPACE.sample(50, rng=1) if not table.contains(x[None])[0])
    assert "does not hold" in lookup.evaluate(stranger).error


def test_columns_of_several_budgets(table):
    lookup = Lookup(table, {9: "acc_9", 1: "acc_1"}, "min", seconds="train_s")
    assert (lookup.objective, lookup.epochs) == ("val_acc_9", 9)
    assert lookup.evaluate(X[1], epochs=1).metrics == {"val_acc_9": 0.2}
    assert lookup.evaluate(X[1]).metrics == {"val_acc_9": 0.3}
    with pytest.raises(SettingError, match="no trainings of 3 epochs: expected 1 or 9"):
        lookup.evaluate(X[1], epochs=3)


def test_a_column_without_a_curve_has_no_epochs(table):
    lookup = Lookup(table, "acc_1")
    assert (lookup.objective, lookup.epochs) == ("val_acc_1", 0)
    assert lookup.evaluate(X[3]).metrics == {"val_acc_1": 0.4}


def test_wrong_settings(table):
    with pytest.raises(SettingError, match="direction"):
        Lookup(table, "val_acc", "up")
    for name in ("no such", "text"):
        with pytest.raises(DataError, match=name):
            Lookup(table, name)
    with pytest.raises(DataError, match="no column 'hours'"):
        Lookup(table, "val_acc", seconds="hours")
