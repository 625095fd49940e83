"""Every strategy of the catalog keeps the promises of `foretell.testing.strategies`."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import foretell as ft
from foretell import _catalog
from foretell._rng import stream
from foretell.errors import SettingError
from foretell.search.history import History
from foretell.search.strategy import Proposal
from foretell.spaces.base import Costs
from foretell.spaces.parts.limited import Limited
from foretell.strategies.parts.brackets import Fidelities
from foretell.strategies.parts.fresh import fresh
from foretell.testing.strategies import (
    CHECKS,
    check_better_than_random,
    check_strategy,
    made_up_values,
    mixed_history,
)

RECIPES = [row.name for row in _catalog.KINDS["strategy"] if row.recipe]
QUICK = {row.name: dict(row.quick) for row in _catalog.KINDS["strategy"]}


class Narrow(ft.Space):
    """A user's space with a decision that does not always apply, and rows that are not valid."""

    depth = ft.choice([1, 2, 3])
    width = ft.choice([8, 16, 32, 64], repeat="depth")
    op = ft.choice(["conv", "skip"])

    def valid(self, X):
        return ~((X[:, 0] == 0) & (X[:, -1] == 1))

    def build(self, x, input_shape, n_outputs):
        import torch

        choices = self.decode(x)
        width = choices["width"][0]
        layers = [torch.nn.Flatten(), torch.nn.Linear(int(np.prod(input_shape)), width)]
        layers += [torch.nn.Linear(width, width) for _ in choices["width"][1:]]
        return torch.nn.Sequential(*layers, torch.nn.Linear(width, n_outputs))


def spaces():
    nb201, narrow = ft.spaces.get("nb201"), Narrow(input_shape=(1, 4, 4))
    return {
        "nb201": nb201,
        "subclass": narrow,
        "limited": Limited.of(nb201, {"params": 2.5e5}),  # a third of all rows
        "limited-subclass": Limited.of(narrow, {"params": 1500}),  # networks are built to know it
    }


def made(name, **more):
    return ft.strategies.get(name, **QUICK[name], **more)


@pytest.mark.parametrize("space", spaces().values(), ids=spaces())
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", [name for name in ft.strategies.names() if name not in RECIPES])
def test_promise(name, check, space):
    check(made(name), space)


@pytest.mark.parametrize("name", RECIPES)
def test_promises_of_a_recipe(name):
    check_strategy(made(name), Narrow(input_shape=(1, 4, 4)))  # the class keeps them everywhere


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_its_class_with_other_settings(name):
    strategy, row = ft.strategies.get(name), _catalog.row("strategy", name)
    assert all(getattr(strategy, key) == value for key, value in row.recipe.items())
    key = next(iter(row.recipe))
    assert ft.strategies.get(name, **{key: row.recipe[key]}) == strategy
    assert strategy != type(strategy)()


def with_costs():
    """Names of the strategies that trade costs."""
    kinds = {name: type(made(name)) for name in ft.strategies.names()}
    return [n for n, kind in kinds.items() if "minimize" in kind.__dataclass_fields__]


@pytest.mark.parametrize("space", spaces().values(), ids=spaces())
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", with_costs())
def test_promise_with_costs(name, check, space):
    check(made(name, minimize=("params",)), space)


@pytest.mark.parametrize("name", with_costs())
def test_costs_that_no_space_knows(name):
    space = ft.spaces.get("nb201")
    if name != "random":  # it compares nothing
        strategy = made(name, minimize=("watts",))
        with pytest.raises(SettingError, match=r"'watts'.*expected.*params"):
            strategy.propose(space, mixed_history(space, 40), 1, stream(0))
    for wrong in ("params", ("params", "params"), (3,)):
        with pytest.raises(SettingError, match=f"{name}, minimize: expected different names"):
            made(name, minimize=wrong)


@pytest.mark.parametrize("name", ft.strategies.names())
def test_settings_are_frozen_and_print(name):
    strategy = made(name)
    assert all(f"{key}={value!r}" in repr(strategy) for key, value in QUICK[name].items())
    assert made(name) == strategy
    with pytest.raises(AttributeError):
        strategy.anything = 1


def test_same_rows_in_another_process():
    script = (
        "import foretell as ft;"
        "from foretell._rng import stream;"
        "from foretell.testing.strategies import mixed_history;"
        f"settings = {QUICK!r}; space = ft.spaces.get('nb201');"
        "print([ft.strategies.get(n, **settings[n]).propose(space, "
        "mixed_history(space, 40).told, 5, stream(0, 'p')).X.tolist() "
        "for n in ft.strategies.names()])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "123", "OMP_NUM_THREADS": "1"},
    )
    space = ft.spaces.get("nb201")
    here = [
        made(name).propose(space, mixed_history(space, 40).told, 5, stream(0, "p")).X.tolist()
        for name in ft.strategies.names()
    ]
    assert done.stdout.strip() == repr(here)


@pytest.mark.parametrize("repeats", [False, True])
@pytest.mark.parametrize("name", ft.strategies.names())
def test_no_function_twice_unless_repeats_are_wanted(name, repeats):
    space = ft.spaces.get("nb201")  # 15,625 rows compute 6,466 functions
    search = ft.Search(space, made(name, repeats=repeats), seed=3, max_epochs=4)
    while search.n_rows < 120:
        X = search.ask(min(search.round_size or 12, 12))
        search.tell(X, made_up_values(space, X))
    functions = np.unique(space.canonical(search.history.latest.X))
    assert (len(functions) < search.n_rows) == repeats


class Smooth(ft.Space):
    """4,096 rows that cost nothing to know."""

    closed_form_costs = True
    a, b, c, d_choice, e, f = (ft.choice(list("wxyz")) for _ in range(6))

    def costs(self, X):
        params = 1 + self.check(X).sum(axis=1, dtype=np.int64)
        return Costs(params, 2 * params)


SMOOTH = Smooth()
LEARN = [row.name for row in _catalog.KINDS["strategy"] if "baseline" not in row.tags]


@pytest.mark.parametrize("name", LEARN)
def test_better_than_random(name):
    row = _catalog.row("strategy", name)
    strategy = ft.strategies.get(name, **{**row.quick, **row.learns})
    check_better_than_random(strategy, SMOOTH)


class Forgetful(ft.strategies.Strategy):
    """A strategy that breaks the first promise: it proposes what is known."""

    def propose(self, space, history, n, rng):
        return Proposal(history.X[:n] if len(history) else space.sample(n, rng))


class Impure(ft.strategies.Strategy):
    """A strategy that draws from a generator of its own."""

    own = np.random.default_rng(0)

    def propose(self, space, history, n, rng):
        return ft.strategies.get("random").propose(space, history, n, self.own)


class Restless(Fidelities):
    """A strategy that trains rows on to epochs that they have already."""

    def promotions(self, history):
        known = history.ok
        return Proposal(known.X[:3], known.epochs[:3]) if len(known) else None

    def open(self, history):
        return True


class Silent(ft.strategies.Strategy):
    """A strategy that waits for ever, though it has no fidelities to wait for."""

    def propose(self, space, history, n, rng):
        return Proposal(history.X[:0])


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (Forgetful(), "known row"),
        (Impure(), "different"),
        (Restless(), "known row"),
        (Silent(), "asked for 1 rows, got shape"),
    ],
)
def test_the_suite_finds_broken_strategies(broken, says):
    with pytest.raises(AssertionError, match=says):
        check_strategy(broken, ft.spaces.get("nb201"))


class Blind(ft.strategies.Strategy):
    """A strategy that looks busy and draws at random."""

    def propose(self, space, history, n, rng):
        best_first = history.ok.X[np.argsort(-history.ok.y)]
        return Proposal(
            fresh(
                space, history.with_pending(best_first[:0]), n, lambda k: space.sample(k, rng), rng
            )
        )


class Backwards(ft.strategies.Strategy):
    """Evolution that takes the worst for the best."""

    def propose(self, space, history, n, rng):
        evolution = ft.strategies.get("regularized-evolution", population=8, sample_size=4)
        return evolution.propose(space, replace(history, y=-history.y), n, rng)


class Stuck(ft.strategies.Strategy):
    """Mutants of the first row, whatever they are worth."""

    def propose(self, space, history, n, rng):
        first = history.X[:1] if len(history) else space.sample(1, rng)
        return Proposal(
            fresh(space, history, n, lambda k: space.mutate(np.repeat(first, k, axis=0), rng), rng)
        )


class Cut(Fidelities):
    """Trains the worst ones on."""

    def promotions(self, history):
        there = history.latest
        there = there[(there.status == 0) & (there.epochs < history.max_epochs)]
        if len(history.pending) or len(there) < 4:
            return None
        worst = np.argsort(there.y)[: len(there) // 4]
        return Proposal(there.X[worst], np.full(len(worst), history.max_epochs))

    def open(self, history):
        return not len(history.pending)


@pytest.mark.parametrize("broken", [Blind(), Backwards(), Stuck(), Cut()])
def test_the_suite_finds_strategies_that_are_no_better_than_random(broken):
    with pytest.raises(AssertionError, match="no better than random"):
        check_better_than_random(broken, SMOOTH)


def test_the_suite_reaches_every_kind_of_history():
    space = ft.spaces.get("nb201")
    history = mixed_history(space, 40)
    assert len(history) == 42
    assert {int(s) for s in history.status} == {0, 1, 2}
    assert len(np.unique(made_up_values(space, space.sample(100, rng=0)))) > 50
    assert isinstance(history, History)
