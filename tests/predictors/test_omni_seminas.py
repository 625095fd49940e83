"""OMNI on SemiNAS says what SemiNAS says that reads the same evidence beside its latent."""

from __future__ import annotations

import numpy as np
import pytest

import foretell as ft
from foretell.evidence import Told
from foretell.predictors.omni_seminas import OmniSemiNAS
from foretell.predictors.parts.features import COUNTED
from foretell.predictors.seminas import SemiNAS

INNER = {"hidden": 8, "members": 2, "epochs": 2, "min_steps": 5}
SMALL = {"unlabelled": 30, "epochs": 1}


@pytest.fixture(scope="module")
def table():
    return ft.Table.open("nb201-digits")


def said(model, table):
    y = table.column("val_acc")[:40]
    return model.fit(table.X[:40], y).predict(table.X[40:70], return_std=True)


@pytest.mark.parametrize("columns", [(), ("params",), ("params", "train_s")])
def test_it_is_seminas_on_all_of_them(columns, table, tmp_path):
    with ft.evidence.ledger(tmp_path):
        told = tuple(Told(column, table) for column in columns)
        omni = OmniSemiNAS(table.space, told, {**SMALL, "settings": INNER}, random_state=3)
        found = said(omni, table)
        encoding = (*((COUNTED,) if isinstance(COUNTED, str) else COUNTED), *told)
        inner = {**INNER, "encoding": encoding}
        seed = omni.model_.random_state
        plain = SemiNAS(table.space, **SMALL, settings=inner, random_state=seed)
        expected = said(plain, table)
    assert np.array_equal(found, expected)


def test_evidence_changes_what_it_says(table, tmp_path):
    with ft.evidence.ledger(tmp_path):
        some = OmniSemiNAS(
            table.space, (Told("params", table),), {**SMALL, "settings": INNER}, random_state=3
        )
        none = OmniSemiNAS(table.space, (), {**SMALL, "settings": INNER}, random_state=3)
        assert not np.array_equal(said(some, table), said(none, table))
