"""Every method on curves of the catalog keeps the contract of `foretell.testing.curves`."""

from __future__ import annotations

import pytest

from foretell import _catalog
from foretell.evidence.curves import get
from foretell.testing.curves import check_curve_method, check_learns

ROWS = _catalog.KINDS["curve"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_contract(row):
    check_curve_method(get(row.name, **row.quick))
    assert get(row.name).has_std == ("std" in row.tags)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_says_who_ends_well(row):
    check_learns(get(row.name, **{**row.quick, **row.learns}))
