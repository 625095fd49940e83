"""Strategies of a run by name: recipes, and whose predictor leads them."""

from __future__ import annotations

import pytest

import foretell as ft
from foretell import _catalog
from foretell.runs.assemble import _name, _strategy
from foretell.runs.settings import Settings

SPACE = ft.spaces.get("mobile")
RECIPES = [row for row in _catalog.KINDS["strategy"] if row.recipe]


@pytest.mark.parametrize("row", RECIPES, ids=lambda row: row.name)
def test_a_run_takes_the_recipe_and_writes_down_its_name(row):
    strategy = _strategy(Settings(strategy=row.name), SPACE)
    changed = {"n_train"}  # that is the run's own
    assert all(getattr(strategy, k) == v for k, v in row.recipe.items() if k not in changed)
    assert _name(ft.strategies.get(row.name)) == row.name


def test_a_strategy_keeps_its_predictor_unless_the_run_names_one():
    own = _strategy(Settings(strategy="brp-nas"), SPACE)
    assert own.predictor == "brp"
    other = _strategy(Settings(strategy="arch2vec-bo", predictor="gp"), SPACE)
    assert (other.predictor, other.predictor_settings) == ("gp", {})
    assert _strategy(Settings(n_train=11), SPACE).predictor == "auto"
    assert _strategy(Settings(strategy="bo", n_train=11), SPACE).n_train == 11
