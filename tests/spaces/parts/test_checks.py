"""`foretell space check` on spaces that are broken in every way, and `load`."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
import threading

import cloudpickle
import numpy as np
import pytest
import torch
from torch import nn

import foretell as ft
from foretell.errors import SettingError, SpaceError, UnknownNameError
from foretell.spaces.parts.checks import Finding, check
from foretell.spaces.parts.load import load
from foretell.testing._globals import global_states


def mlp(decisions, input_shape, n_outputs):
    features = int(np.prod(input_shape))
    width = decisions["width"]
    return nn.Sequential(
        nn.Flatten(), nn.Linear(features, width), nn.ReLU(), nn.Linear(width, n_outputs)
    )


def own(build=mlp, **choices):
    return ft.Space.from_choices(
        choices or {"width": [4, 8, 16]}, build=build, input_shape=(1, 4, 4), n_outputs=3
    )


def problems(space):
    return [f for f in check(space) if f.level != "info"]


def test_a_good_space_has_nothing_but_information():
    findings = check(own())
    assert {f.level for f in findings} == {"info"}
    said = {f.code: f.text for f in findings}
    assert said["size"] == "3 architectures of 1 decisions"
    # (16 + 1) w + (w + 1) 3 for w = 4, 8, 16
    assert said["params"] == "parameters: 83 to 323, median 163"
    assert "ms" in said["time"]


class Wrapped(nn.Module):
    def __init__(self, change):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.LazyLinear(3))
        self.net(torch.zeros(2, 1, 4, 4))
        self.change = change

    def forward(self, x):
        return self.change(self.net(x))


def raising(decisions, input_shape, n_outputs):
    return 1 / (decisions["width"] - 8)


def changing():
    widths = iter(range(1, 1000))
    return lambda d, i, o: nn.Sequential(nn.Flatten(), nn.Linear(16, next(widths)))


class Idle(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.net, self.spare = nn.Sequential(*layers), nn.Linear(2, 2)

    def forward(self, x):
        return self.net(x)


class Branching(nn.Sequential):
    def forward(self, x):
        return super().forward(x) if x.sum() > 0 else super().forward(-x)


class Uncopied(nn.Sequential):
    def __deepcopy__(self, memo):
        raise TypeError("no copies")


def adaptive(kind):
    return lambda d, i, o: kind(nn.Flatten(), nn.Linear(int(np.prod(i)), o))


@pytest.mark.parametrize(
    ("build", "level", "code", "words"),
    [
        (raising, "error", "build", "ZeroDivisionError.*test_checks.py, line.*1 of 3.*'width=8'"),
        (lambda d, i, o: None, "error", "build", "returned NoneType"),
        (lambda d, i, o: "net", "error", "build", "returned str"),
        (lambda d, i, o: nn.Linear, "error", "build", "returned type"),
        (lambda d: None, "error", "build", "TypeError"),
        (lambda d, i, o: mlp(d, i, o + 1), "error", "output", r"\(2, 4\) where \(2, 3\)"),
        (lambda d, i, o: Wrapped(lambda y: y[0]), "error", "output", r"\(3,\)"),
        (lambda d, i, o: Wrapped(lambda y: (y, y)), "error", "output", "tuple"),
        (lambda d, i, o: Wrapped(lambda y: y / 0), "error", "finite", "NaN"),
        (lambda d, i, o: Wrapped(lambda y: y * np.nan), "error", "finite", "NaN"),
        (lambda d, i, o: mlp(d, (1, 5, 5), o), "error", "forward", r"shape \(1, 4, 4\)"),
        (lambda d, i, o: Wrapped(lambda y: y.detach()), "error", "backward", "does not require"),
        (
            lambda d, i, o: Wrapped(lambda y: (y * 0).sqrt() * 1e-9),
            "error", "gradient", "not finite",
        ),
        (changing(), "error", "structure", "two different networks"),
        (adaptive(Idle), "warning", "gradient", "'spare.weight' and 1 more"),
        (adaptive(Branching), "warning", "trace", "torch.fx"),
        (adaptive(Uncopied), "error", "copy", "no copies"),
        (
lambda d, i, o: nn.Sequential(nn.AdaptiveAvgPool3d((1, 1, o)), nn.Flatten()),
            "warning", "gradient", "no trainable",
        ),
        (lambda d, i, o: mlp(d, (1, 4, 4), o), "warning", "io", "do not adapt"),
        (lambda d, i, o: mlp(d, i, 3), "warning", "io", "do not adapt"),
    ],
)  # fmt: skip
def test_broken_builds(build, level, code, words):
    found = problems(own(build))
    assert (level, code) in [(f.level, f.code) for f in found], found
    assert any(re.search(words, f.text) for f in found if f.code == code), found


def test_one_trouble_of_many_networks_is_one_finding():
    found = problems(own(lambda d, i, o: None, width=range(1, 50)))
    assert len(found) == 1
    assert "all 8 networks" in found[0].text


class Base(ft.Space):
    a = ft.choice(range(4))
    b = ft.choice(range(4))

    def __init__(self):
        super().__init__(input_shape=(5,), n_outputs=2)

    def build(self, x, input_shape, n_outputs):
        return nn.Linear(input_shape[0], n_outputs)


def with_method(name, method):
    return type("Odd", (Base,), {name: method})()


def boom(self, *args):
    raise RuntimeError("boom")


@pytest.mark.parametrize(
    ("name", "method", "code", "words"),
    [
        ("valid", lambda self, X: True, "sample", "a bool for each row"),
        ("valid", lambda self, X: X[:, :1] > 0, "sample", "a bool for each row"),
        ("valid", lambda self, X: X[:, 0], "sample", "a bool for each row"),
        ("valid", lambda self, X: X[:, 0] > 9, "sample", "no valid row"),
        ("valid", boom, "sample", "RuntimeError: boom .test_checks.py"),
        ("canonical_form", lambda self, X: (X + 1) % 4, "canonical", "not stable"),
        ("canonical_form", lambda self, X: X[:, :1], "sample", r"shape \(64, 1\)"),
        ("canonical_form", boom, "sample", "boom"),
        ("active", boom, "sample", "boom"),
        ("active", lambda self, X: True, "rows", None),
        ("size", property(lambda self: 17), "size", "17"),
        ("size", property(boom), "counts", "boom"),
        ("enumerate", lambda self, batch=9: iter([np.zeros((16, 2), dtype=int)]), "keys", "share"),
        ("row_key", lambda self, X: np.zeros(len(X), dtype=np.uint64), "keys", "15 of 16"),
        ("row_key", lambda self, X: X[:, 0] * 4 + X[:, 1], "keys", "expected uint64"),
        ("row_key", boom, "counts", "boom"),
        ("to_str", lambda self, X: ["a=0,b=0"] * len(X), "strings", "must undo"),
        ("to_str", lambda self, X: [str(list(x)) for x in X], "strings", "not an architecture"),
        ("to_str", boom, "strings", "boom"),
        ("from_str", boom, "strings", "boom"),
        ("sample", lambda self, n, rng=None: np.full((n, 2), 9), "sample", "denies"),
        ("sample", lambda self, n, rng=None: None, "sample", r"shape \(\)"),
        ("sample", boom, "sample", "boom"),
        ("mutate", lambda self, X, rng=None: X + 9, "mutate", "not of the space"),
        ("mutate", boom, "moves", "boom"),
        ("neighbors", lambda self, x: np.full((1, 2), 7), "neighbors", "not of the space"),
        ("graphs", lambda self, X: (X, X), "graphs", "shapes"),
        (
            "graphs",
            lambda self, X: (np.full((len(X), 2), 99), np.zeros((len(X), 2, 2), dtype=bool)),
            "graphs",
            "operations 0 to",
        ),
        (
            "graphs",
            lambda self, X: (np.full((len(X), 2), 0), np.ones((len(X), 2, 2), dtype=bool)),
            "graphs",
            "earlier to later",
        ),
        (
            "graphs",
            lambda self, X: (np.full((len(X), 2), -1), np.triu(np.ones((len(X), 2, 2)), 1) > 0),
            "graphs",
            "not there",
        ),
        ("graphs", boom, "graphs", "boom"),
        ("vocabulary", property(boom), "graphs", "boom"),
        ("costs", boom, "costs", "boom"),
        (
            "costs",
            lambda self, X: ft.spaces.Costs(np.ones(len(X), dtype=int), np.ones(len(X), dtype=int)),
            "costs",
            "says 1 parameters",
        ),
        ("decode", boom, None, None),
        ("__getstate__", boom, "pickle", "boom"),
    ],
)
def test_broken_methods(name, method, code, words):
    found = [f for f in check(with_method(name, method)) if f.level == "error"]
    if code is None:
        assert not found
        return
    if words is None:
        assert found
        return
    assert any(f.code == code and re.search(words, f.text) for f in found), found


def test_spaces_that_cannot_travel():
    space = own()
    space.lock = threading.Lock()
    assert [f.code for f in problems(space)] == ["pickle"]


def test_a_space_where_nothing_moves_is_a_warning():
    found = problems(own(lambda d, i, o: mlp({"width": 4}, i, o), width=[4]))
    assert [(f.level, f.code) for f in found] == [("warning", "neighbors")]


def test_what_is_no_space():
    class Forgetful(ft.Space):
        a = ft.choice([1])

        def __init__(self):
            pass

    assert [f.code for f in check("nb201")] == ["space"]
    assert "super().__init__()" in check(Forgetful())[0].text


def test_the_check_repeats_and_leaves_global_randomness():
    before = global_states()
    first = [f for f in check(own()) if f.code != "time"]
    assert first == [f for f in check(own()) if f.code != "time"]
    assert global_states() == before
    assert isinstance(first[0], Finding)


# -- load ----------------------------------------------------------------------------------------

GOOD = """
import foretell as ft
from neighbour import WIDTHS
from torch import nn

def build(decisions, input_shape, n_outputs):
    return nn.Linear(input_shape[0], n_outputs)

class Mine(ft.Space):
    width = ft.choice(WIDTHS)
    def __init__(self, *, bias=True, **io):
        self.bias = bias
        super().__init__(**io)
    def build(self, x, input_shape, n_outputs):
        return nn.Linear(input_shape[0], n_outputs, bias=self.bias)

made = ft.Space.from_choices({"width": WIDTHS}, build=build)
def maker():
    return made
number = 3
def other(): return number
def bad(): return 1 / 0
def wrong(): return ft.Space.from_choices({"a": []}, build=build)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "neighbour.py").write_text("WIDTHS = [4, 8, 16]\n")
    (tmp_path / "my_space.py").write_text(GOOD)
    yield tmp_path
    sys.modules.pop("neighbour", None)


@pytest.mark.parametrize("name", ["Mine", "made", "maker"])
def test_load_from_a_file(folder, name):
    space = load(f"{folder}/my_space.py:{name}")
    assert space.size == 3
    assert not [f for f in problems(space.with_io((5,), 2)) if f.level == "error"]


def test_load_settings_reach_the_class(folder):
    space = load(f"{folder}/my_space.py:Mine", bias=False, input_shape=(7,))
    assert (space.bias, space.input_shape) == (False, (7,))
    with pytest.raises(SpaceError, match=r"'colour'.*my_space.py, line 13"):
        load(f"{folder}/my_space.py:Mine", colour=1)
    with pytest.raises(SettingError, match="finished space"):
        load(f"{folder}/my_space.py:made", bias=1)
    with pytest.raises(SettingError, match=r"'colour'.*expected some of preset"):
        load("mobile", colour=1)
    assert load("mobile", n_stages=1).size == 72


def test_a_loaded_space_reaches_another_process(folder):
    space = load(f"{folder}/my_space.py:Mine")
    (folder / "neighbour.py").unlink()  # the class travels by value
    payload = folder / "payload"
    payload.write_bytes(cloudpickle.dumps(space))
    script = (
        "import pickle, sys; space = pickle.loads(open(sys.argv[1], 'rb').read());"
        "strings = space.to_str(space.sample(3, rng=0));"
        "print(type(space).__name__, strings, space.build([0], (2,), 2))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(payload)], capture_output=True, text=True, check=True
    )
    here = f"Mine {space.to_str(space.sample(3, rng=0))} {space.build([0], (2,), 2)}"
    assert done.stdout.strip() == here
    assert pickle.loads(cloudpickle.dumps(space)).size == 3


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("{}/none.py:Mine", "Python files in that folder: .*my_space.py"),
        ("{}/my_space.txt:Mine", "no space at"),
        ("{}:Mine", "no space at"),
        ("{}/my_space.py:Yours", "one of Mine, bad, made, maker, other, wrong"),
        ("{}/my_space.py", "which space .* expected one of Mine"),
        ("{}/my_space.py:", "which space"),
        ("{}/my_space.py:number", "no space: .*got int"),
        ("{}/my_space.py:other", "made no space: .*got int"),
        ("{}/my_space.py:bad", r"ZeroDivisionError.*my_space.py, line 22"),
        ("{}/my_space.py:wrong", "choice 'a'"),
        ("{}/my_space.py:build", "settings of space|missing"),
        (None, "a name"),
        (":", "unknown space"),
    ],
)
def test_load_says_what_is_wrong(folder, spec, words):
    with pytest.raises((SpaceError, SettingError, UnknownNameError), match=words):
        load(spec and spec.format(folder))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("x = 1\ny = 1 / 0\n", "running broken.py failed: ZeroDivisionError.*broken.py, line 2"),
        ("x = 1\ndef f(:\n", "SyntaxError: .*broken.py, line 2"),
        ("import not_there_at_all\n", "ModuleNotFoundError.*broken.py, line 1"),
        ("raise SystemExit(3)\n", "SystemExit: 3"),
        ("", "expected a subclass of ft.Space"),
    ],
)
def test_load_of_files_that_do_not_run(folder, code, words):
    (folder / "broken.py").write_text(code)
    with pytest.raises(SpaceError, match=words):
        load(f"{folder}/broken.py")


def test_load_of_a_single_space_needs_no_name(folder):
    (folder / "one.py").write_text(
        "import foretell as ft\nclass One(ft.Space):\n    a = ft.choice([1, 2])\n"
    )
    assert load(f"{folder}/one.py").name == "One"


def test_load_of_an_unknown_name():
    with pytest.raises(UnknownNameError, match="did you mean 'mobile'"):
        load("mobil")
