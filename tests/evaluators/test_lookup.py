"""Results that are looked up."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import foretell as ft
from foretell.errors import DataError, SettingError
from foretell.evaluators.lookup import TableEvaluator
from foretell.tables.table import Table

SPACE = ft.spaces.get("nb201")


def test_evaluator_gives_results_and_never_raises():
    table = Table(SPACE, next(SPACE.enumerate())[:5], {"val_acc": [0.1, 0.2, 0.3, 0.4, 0.5]})
    evaluator = pickle.loads(pickle.dumps(TableEvaluator(table, "val_acc")))
    assert evaluator.evaluate(table.X[2], seed=9).metrics == {"val_acc": 0.3}
    assert evaluator.space.size == SPACE.size
    bad = evaluator.evaluate(np.full(6, 4))
    assert not bad.ok
    assert "does not hold" in bad.error
    with pytest.raises(DataError):
        TableEvaluator(table, "no such")
    with pytest.raises(SettingError):
        TableEvaluator(table, "val_acc", "up")
