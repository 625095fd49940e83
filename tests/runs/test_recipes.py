"""Strategies of a run by name: recipes, and whose predictor leads them."""

from __future__ import annotations

import pytest

import foretell as ft
from foretell import _catalog
from foretell.runs.assemble import _name, _strategy
from foretell.runs.former import Former
from foretell.runs.settings import Settings

SPACE = ft.spaces.get("mobile")
RECIPES = [row for row in _catalog.KINDS["strategy"] if row.recipe]


def of_run(**settings):
    """The strategy of a run; neither data nor recipe of the training matter to these."""
    return _strategy(Settings(**settings), SPACE, None, None, Former({}))


@pytest.mark.parametrize("row", RECIPES, ids=lambda row: row.name)
def test_a_run_takes_the_recipe_and_writes_down_its_name(row):
    strategy = of_run(strategy=row.name)
    changed = {"n_train"}  # that is the run's own
    assert all(getattr(strategy, k) == v for k, v in row.recipe.items() if k not in changed)
    assert _name(ft.strategies.get(row.name), Former({})) == row.name


def test_a_strategy_keeps_its_predictor_unless_the_run_names_one():
    own = of_run(strategy="brp-nas")
    assert own.predictor == "brp"
    other = of_run(strategy="arch2vec-bo", predictor="gp")
    assert (other.predictor, other.predictor_settings) == ("gp", {})
    assert of_run(strategy="neural-predictor", n_train=11).predictor == "auto"
    assert of_run(strategy="bo", n_train=11).n_train == 11
