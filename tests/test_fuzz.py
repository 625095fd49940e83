"""A few of the damaged folders of perf/fuzz.py: right, or one line, never a traceback."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

KINDS = (
    *("report", "report half", "continue", "continue half", "report study"),
    *("continue predictors", "continue searches", "predict", "export", "table"),
)


@pytest.fixture(scope="module")
def fuzz():
    """The module perf/fuzz.py."""
    path = Path(__file__).resolve().parents[1] / "perf" / "fuzz.py"
    spec = importlib.util.spec_from_file_location("fuzz", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def good(fuzz, tmp_path_factory):
    made = fuzz.Good.make(tmp_path_factory.mktemp("good"))
    assert tuple(made.kinds) == KINDS
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_no_damage_is_a_traceback(kind, fuzz, good, tmp_path):
    for seed in range(3):
        did, wrong = fuzz.attempt(good, kind, seed, tmp_path)
        assert not wrong, did


def test_what_is_sound_stays_so(good, tmp_path):
    for name, use in good.kinds.values():
        use(good.here / name)


def test_a_traceback_would_be_seen(fuzz, good, tmp_path):
    def use(folder):
        raise KeyError(folder.name)

    bad = fuzz.Good(good.here, {"bad": ("best", use)})
    assert "KeyError: 'copy'" in fuzz.attempt(bad, "bad", 0, tmp_path)[1]
