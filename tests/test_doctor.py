"""Doctor knows every extra, and says how to get what is missing."""

from __future__ import annotations

import importlib.util
import tomllib
from pathlib import Path

from foretell import _catalog
from foretell._doctor import _EXTRAS, examine


def test_every_extra_is_looked_at():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert set(_EXTRAS) == set(extras) - {"all"}
    facts = {fact.what for fact in examine()}
    assert {f"extra {name!r}" for name in _EXTRAS} <= facts


def test_what_components_need_is_what_is_looked_at():
    rows = [row for kind in _catalog.KINDS.values() for row in kind]
    for row in rows:
        assert set(row.packages) <= set(_EXTRAS.get(row.extra, ()))


def test_missing_package_says_the_pip_line(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "ot" else real(name, *a)
    )
    fact = next(fact for fact in examine() if fact.what == "extra 'gp'")
    assert "missing" in fact.found
    assert "ot" in fact.found.replace(",", "").split()
    assert fact.advice == "pip install 'foretell[gp]'"
