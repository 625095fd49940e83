"""Every predictor of the catalog keeps the promises of `foretell.testing.predictors`."""

from __future__ import annotations

import ast
import importlib.util
import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

import foretell as ft
from foretell import _catalog
from foretell.errors import ForetellError, MissingExtraError
from foretell.testing.predictors import CHECKS, check_learns, check_predictor, examples

NAMES = ft.predictors.names()
ROWS = {row.name: row for row in _catalog.KINDS["predictor"]}


class Own(ft.Space):
    """A user's space with a decision that does not always apply; sizes need a network."""

    depth = ft.choice([1, 2, 3])
    width = ft.choice([8, 16, 32, 64], repeat="depth")
    op = ft.choice(["conv", "skip", "pool"])

    def build(self, x, input_shape, n_outputs):
        import torch

        widths = [int(np.prod(input_shape)), *self.decode(x)["width"], n_outputs]
        layers = (torch.nn.Linear(a, b) for a, b in itertools.pairwise(widths))
        return torch.nn.Sequential(torch.nn.Flatten(), *layers)


SPACES = {"nb201": ft.spaces.get("nb201"), "own": Own(input_shape=(1, 4, 4), n_outputs=3)}


def make(name: str, space: ft.Space, **settings):
    missing = [p for p in ROWS[name].packages if importlib.util.find_spec(p) is None]
    if missing:
        pytest.skip(f"extra {ROWS[name].extra!r} is not installed ({', '.join(missing)})")
    return ft.predictors.get(name, space=space, random_state=0, **{**ROWS[name].quick, **settings})


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", NAMES)
def test_promises(name, space, check):
    check(make(name, SPACES[space]))


@pytest.mark.parametrize("name", [n for n in NAMES if "baseline" not in ROWS[n].tags])
def test_learns_an_additive_target(name):
    check_learns(make(name, SPACES["own"], **ROWS[name].learns))


@pytest.mark.parametrize("name", NAMES)
def test_std_is_announced(name):
    model = make(name, SPACES["nb201"])
    assert model.has_std == ("std" in ROWS[name].tags)


@pytest.mark.parametrize("name", NAMES)
def test_own_space_without_networks(name):
    """A space of choices alone is enough, for sizes too where some of them are numbers."""
    space = ft.Space.from_choices({"a": [1, 2, 3], "b": ["x", "y"], "c": [1, 2]}, build=broken)
    model = make(name, space)
    X, y = examples(model)
    assert np.isfinite(clone(model).fit(X, y).predict(X)).all()
    if "costs" in ROWS[name].needs:
        words = ft.Space.from_choices({"b": ["x", "y"]}, build=broken)
        with pytest.raises(ForetellError):
            clone(make(name, words)).fit([[0], [1]], [0.0, 1.0])


def broken(decisions, input_shape, n_outputs):
    raise RuntimeError("no network today")


def test_same_in_another_process():
    """Predictions are bit-equal in a fresh process with another hash seed."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_predictors as t;print(t.digest())"
    )
    out = subprocess.run(
        [sys.executable, "-c", script, str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    here, there = digest().split(), out.stdout.split()
    assert [a.partition(":")[0] for a, b in zip(here, there, strict=True) if a != b] == []


def digest() -> str:
    lines = []
    for name in NAMES:
        if all(importlib.util.find_spec(p) for p in ROWS[name].packages):
            model = make(name, SPACES["nb201"])
            X, y = examples(model)
            lines.append(f"{name}:{model.fit(X, y).predict(X).tobytes().hex()}")
    return " ".join(lines)


def test_missing_extra_names_the_pip_line(monkeypatch):
    row = _catalog.Row("x", "none:X", "", extra="trees", packages=("no_such_package",))
    monkeypatch.setitem(_catalog.KINDS, "predictor", (row,))
    with pytest.raises(MissingExtraError, match=r"pip install 'foretell\[trees\]'"):
        ft.predictors.get("x", space=SPACES["nb201"])


def test_unknown_name_says_the_nearest():
    with pytest.raises(ForetellError, match="did you mean 'xgb'"):
        ft.predictors.get("xbg", space=SPACES["nb201"])


@pytest.mark.parametrize("broken_promise", ["shape", "state", "input"])
def test_checks_can_fail(broken_promise):
    """The suite itself notices a predictor that breaks its word."""

    class Liar(ft.predictors.Predictor):
        def __init__(self, space, random_state=None):
            self.space, self.random_state = space, random_state

        def _fit(self, X, y, rng):
            if broken_promise == "state":
                np.random.rand()  # what nobody may
            if broken_promise == "input":
                y += 1

        def _predict(self, X):
            return np.zeros(len(X) + (broken_promise == "shape")), None

    with pytest.raises(AssertionError):
        check_predictor(Liar(SPACES["nb201"], 0))


# no `paper`: two are of this house, two come with their paper's settings
PLAIN = {"auto", "transferable", "omni", "omni-seminas"}


@pytest.mark.parametrize(
    "name", [n for n in NAMES if "baseline" not in ROWS[n].tags and n not in PLAIN]
)
def test_settings_of_its_paper(name):
    """`paper` is another model of the class, with seed and changes as given."""
    model = make(name, SPACES["nb201"])
    found = type(model).paper(SPACES["nb201"], random_state=3)
    settings = found.get_params(deep=False)
    assert type(found) is type(model)
    assert settings["random_state"] == 3
    assert repr(clone(found)) == repr(found)
    kept = {key: settings[key] for key in settings if key not in ("space", "random_state")}
    key = next(iter(kept))
    changed = type(model).paper(SPACES["nb201"], random_state=3, **{key: "changed"})
    assert changed.get_params(deep=False)[key] == "changed"


@pytest.mark.parametrize("row", _catalog.KINDS["predictor"], ids=lambda row: row.name)
def test_each_has_a_test_of_its_name(row):
    _, room, stem = row.target.partition(":")[0].split(".")
    text = (Path(__file__).parents[1] / room / f"test_{stem}.py").read_text()
    assert "def test_" in text


@pytest.mark.parametrize(
    "room", ["graphs", "encodings", "predictors", "transfer", "search", "strategies"]
)
def test_no_method_knows_a_space_by_name(room):
    """Apart from docstrings, no string or import in these rooms is a space of the catalog."""
    spaces = {row.name for row in _catalog.KINDS["space"]}
    modules = {row.target.partition(":")[0] for row in _catalog.KINDS["space"]}
    root = Path(ft.__file__).parent
    paths = list((root / room).rglob("*.py"))
    assert len(paths) > 1
    for path in paths:
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert node.value not in spaces, f"{path.name}:{node.lineno} names {node.value!r}"
            if isinstance(node, ast.ImportFrom):
                assert node.module not in modules, f"{path.name}:{node.lineno} imports a space"
