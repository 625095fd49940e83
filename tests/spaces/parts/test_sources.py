"""A user's space goes along with all of its own files, and no others."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import foretell as ft
from foretell.errors import SpaceError
from foretell.spaces.parts.load import load
from foretell.spaces.parts.sources import lacking, sources

NET = """
import torch
from torch import nn
{imports}


class Net(nn.Module):
    def __init__(self, width, shape, n_outputs):
        super().__init__()
        self.a, self.b = nn.Linear(shape[0], width), nn.Linear(width, n_outputs)

    def forward(self, x):
        x = self.a(x)
        return self.b({act}(x) if x.sum() < 1e9 else x)
"""
SPACE = """
import foretell as ft
{imports}


class Own(ft.Space):
    width = ft.choice([2, 4])

    def build(self, x, input_shape, n_outputs):
        {late}
        return {net}(self.decode(x)["width"], input_shape, n_outputs)
"""
# files of a folder, the space in it, and what has to go along
LAYOUTS = {
    "sibling": (
        {
            "space.py": SPACE.format(imports="from blocks import Net", late="pass", net="Net"),
            "blocks.py": NET.format(imports="import acts", act="acts.act"),
            "acts.py": "import torch\nact = torch.tanh\n",
            "unused.py": "raise RuntimeError\n",
        },
        "space.py:Own",
        {"blocks.py", "acts.py"},
    ),
    "late": (
        {
            "space.py": SPACE.format(imports="", late="import blocks", net="blocks.Net"),
            "blocks.py": NET.format(imports="", act="torch.tanh"),
        },
        "space.py:Own",
        {"blocks.py"},
    ),
    "package": (
        {
            "space.py": SPACE.format(imports="from pack.nets import Net", late="pass", net="Net"),
            "pack/__init__.py": "from . import inner\n",
            "pack/nets.py": NET.format(imports="from .inner.acts import act", act="act"),
            "pack/inner/__init__.py": "",
            "pack/inner/acts.py": "import torch\nact = torch.tanh\n",
            "pack/unused.py": "",
        },
        "space.py:Own",
        {"pack/__init__.py", "pack/nets.py", "pack/inner/__init__.py", "pack/inner/acts.py"},
    ),
    "of a package": (
        {
            "mine/__init__.py": "",
            "mine/own.py": SPACE.format(imports="from . import nets", late="pass", net="nets.Net"),
            "mine/nets.py": NET.format(imports="", act="torch.tanh"),
        },
        "mine.own:Own",
        {"mine/__init__.py", "mine/own.py", "mine/nets.py"},
    ),
    "a file of a package": (
        {
            "our/__init__.py": "",
            "our/nets.py": NET.format(imports="", act="torch.tanh"),
            "our/deep/__init__.py": "",
            "our/deep/own.py": SPACE.format(imports="", late="from ..nets import Net", net="Net"),
        },
        "our/deep/own.py:Own",
        {"our/__init__.py", "our/nets.py", "our/deep/__init__.py", "our/deep/own.py"},
    ),
}


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Makes the space of files; forgets their modules afterwards."""
    before, path = set(sys.modules), list(sys.path)

    def make(files, spec):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        if ".py:" in spec:
            return load(f"{tmp_path}/{spec}").with_io((3,), 2)
        monkeypatch.syspath_prepend(str(tmp_path))
        module, name = spec.split(":")
        return getattr(importlib.import_module(module), name)(input_shape=(3,), n_outputs=2)

    yield make
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_a_space_imports_goes_along_and_nothing_else(layout, made, tmp_path):
    files, spec, expected = LAYOUTS[layout]
    found = sources(made(files, spec))
    assert set(found.files) == expected
    assert found.needs == ()
    for name, path in found.files.items():
        assert path == (tmp_path / name).resolve()


@pytest.mark.parametrize("layout", ["late", "of a package", "a file of a package"])
def test_copies_are_enough(layout, made):
    files, spec, _ = LAYOUTS[layout]
    assert lacking(made(files, spec), np.array([1])) == ""


def test_packages_of_one_name_are_not_mixed(made, tmp_path):
    files, spec, _ = LAYOUTS["a file of a package"]
    space = made(files, spec)
    other = {f"other/{name}": text for name, text in files.items()}
    with pytest.raises(SpaceError, match=r"is our\.deep\.own, and Python finds another one"):
        made(other, f"other/{spec}")
    assert type(space).__module__ == "our.deep.own"
    again = made({"our/deep/own.py": files["our/deep/own.py"].replace("[2, 4]", "[2, 4, 8]")}, spec)
    assert (space.size, again.size) == (2, 3)  # the file is run once more


def test_a_file_of_a_package_that_fails_is_said(made):
    text = "from . import gone\n"
    with pytest.raises(SpaceError, match=r"importing their\.own .* failed: ImportError"):
        made({"their/__init__.py": "", "their/own.py": text}, "their/own.py:Own")


@pytest.mark.parametrize(
    ("late", "why"),
    [
        ("import importlib; importlib.import_module('blo' + 'cks')", "No module named 'blocks'"),
        ("FILE.read_text()", "No such file or directory"),
    ],
)
def test_what_cannot_go_along_is_said(late, why, made, tmp_path):
    (tmp_path / "cells.txt").write_text("4")
    file = "from pathlib import Path; FILE = Path(__file__).parent / 'cells.txt'"
    net = NET.format(imports="", act="torch.tanh")
    text = SPACE.format(imports=f"{file}\n{net}", late=late, net="Net")
    space = made({"space.py": text, "blocks.py": ""}, "space.py:Own")
    space.build(np.array([0]), (3,), 2)  # here it works
    assert why in lacking(space, np.array([0]))


def test_code_that_is_in_no_file_is_said():
    def build(decisions, shape, n_outputs):
        return torch.nn.Linear(3, 2)

    build.__module__ = "typed_into_a_notebook"
    space = ft.Space.from_choices({"a": [1, 2]}, build=build)
    assert sources(space) is None
    assert "in no file" in lacking(space, np.array([0]))


def test_packages_that_are_needed_are_named(made):
    text = SPACE.format(
        imports="import json, sklearn.svm, PIL.Image as I\nfrom scipy import stats",
        late="pass",
        net="object",
    )
    found = sources(made({"space.py": text}, "space.py:Own"))
    assert found.needs == ("PIL", "scipy", "sklearn")
    assert found.files == {}
    assert Path(found.main).name == "space.py"
