"""Columns of a table as evidence."""

from __future__ import annotations

import numpy as np
import pytest

import foretell as ft
from foretell.errors import SettingError
from foretell.evidence import Told
from foretell.testing.evidence import check_evidence


@pytest.fixture(scope="module")
def table():
    space = ft.Space.from_choices({"a": [0, 1, 2], "b": [0, 1, 2, 3]}, build=print)
    X = np.array([[i, j] for i in range(3) for j in range(4)])
    return ft.Table(space, X, {"one": X.sum(axis=1) + 0.5, "two": X[:, 0] * 2.0})


@pytest.mark.parametrize("columns", ["one", ("two", "one")])
def test_contract(table, columns):
    check_evidence(Told(columns, table, space=table.space))


def test_what_the_table_has(table, tmp_path):
    with ft.evidence.ledger(tmp_path):
        told = Told(("two", "one"), table, seconds=0.25, space=table.space)
        assert told.values([[2, 1]]).tolist() == [[4.0, 3.5]]
        assert told.spent([[2, 1]]).tolist() == [0.25]
    with pytest.raises(SettingError, match="no table"):
        _ = Told("one", space=table.space).book
