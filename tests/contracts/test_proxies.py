"""Every proxy of the catalog keeps the promises of `foretell.testing.proxies`."""

from __future__ import annotations

import pytest

import foretell as ft
from foretell import _catalog
from foretell.testing.proxies import CHECKS

ROWS = {row.name: row for row in _catalog.KINDS["proxy"]}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", ft.proxies.names())
def test_promises(name, check):
    check(ft.proxies.get(name, **ROWS[name].quick))


@pytest.mark.parametrize("name", ft.proxies.names())
def test_tags_say_which_are_aggregates(name):
    assert ("aggregate" in ROWS[name].tags) == isinstance(
        ft.proxies.get(name), ft.proxies.Aggregate
    )
