"""Digests: equal where answers are, in every process; different where they may differ."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch

import foretell as ft
from foretell.evidence.parts.identity import digest, space_digest

CHOICES = {"op": ["a", "b"], "width": [8, 16]}


def own(build, choices=None, **settings):
    return ft.Space.from_choices(choices or CHOICES, build, **settings)


def makes(body: str, before: str = ""):
    """`build` of these lines, as if it came from a file of its own."""
    scope = {"__name__": "my_space", "nn": torch.nn}
    exec(f"{before}\ndef build(decisions, input_shape, n_outputs):\n    {body}\n", scope)
    return scope["build"]


LINEAR = "return nn.Linear(decisions['width'], n_outputs)"


def test_library_spaces_are_all_different():
    names = [name for name in ft.spaces.names() if name != "darts"]  # another name of nb301
    spaces = [ft.spaces.get(name) for name in names]
    spaces += [ft.spaces.get("mobile", preset="tiny"), ft.spaces.get("nb201").with_io((1, 8, 8), 3)]
    spaces += [ft.spaces.get("mobile", width=0.5)]
    assert len({space_digest(space) for space in spaces}) == len(spaces)
    assert space_digest(ft.spaces.get("nb201")) == space_digest(ft.spaces.get("nb201"))


def test_limits_do_not_count():
    from foretell.spaces.parts.limited import Limited

    space = ft.spaces.get("nb201")
    assert space_digest(Limited.of(space, {"params": 2e5})) == space_digest(space)


@pytest.mark.parametrize(
    "other",
    [
        own(makes(LINEAR), name="other"),
        own(makes(LINEAR), {"op": ["a", "b"], "width": [8, 32]}),
        own(makes(LINEAR), {"kind": ["a", "b"], "width": [8, 16]}),
        own(makes(LINEAR), {"width": [8, 16], "op": ["a", "b"]}),
        own(makes(LINEAR), n_outputs=3),
        own(makes(LINEAR), input_shape=(8,)),
        own(makes("return nn.Linear(decisions['width'], n_outputs + 1)")),
        own(makes("return nn.Linear(decisions['width'], n_outputs, bias=False)")),
        own(makes("return Head(decisions['width'])", "class Head(nn.Linear):\n    pass")),
    ],
)
def test_own_spaces_of_the_same_name_differ(other):
    assert space_digest(other) != space_digest(own(makes(LINEAR)))


HELPERS = """
WIDTH = {width}
class Head(nn.Module):
    'Comment {comment}'
    def __init__(self, n):
        super().__init__()
        self.line = nn.Linear(n, {inside})
def head(n):
    return Head(n + {add})  # {comment}
"""


def test_what_build_refers_to_counts_and_comments_do_not():
    def of(**changes):
        settings = {"width": 4, "comment": "one", "inside": 2, "add": 0, **changes}
        return space_digest(own(makes("return head(WIDTH)", HELPERS.format(**settings))))

    assert of() == of(comment="two")
    assert len({of(), of(width=5), of(inside=3), of(add=1)}) == 4


def test_closures_and_defaults_count():
    def make(factor, extra=0):
        def build(decisions, input_shape, n_outputs, extra=extra):
            return torch.nn.Linear(factor * decisions["width"], n_outputs + extra)

        return space_digest(own(build))

    assert make(2) == make(2)
    assert len({make(2), make(3), make(2, 1)}) == 3


def test_own_classes_by_their_code_and_attributes():
    def make(widths, inside):
        class Mine(ft.Space):
            width = ft.choice([1, 2])

            def __init__(self, widths):
                self.widths = widths
                super().__init__()

            def build(self, x, input_shape, n_outputs):
                return torch.nn.Linear(inside, self.widths[x[0]])

        return space_digest(Mine(widths))

    assert make([1, 2], 3) == make([1, 2], 3)
    assert len({make([1, 2], 3), make([1, 3], 3), make([1, 2], 4)}) == 3


def test_a_build_that_knows_its_space():
    def build(decisions, input_shape, n_outputs):
        return torch.nn.Linear(spaces[0].d, n_outputs)

    spaces = []
    spaces.append(own(build))
    assert space_digest(spaces[0]) == space_digest(spaces[0])


VALUES = {
    "arrays": lambda: np.arange(6).reshape(2, 3),
    "empty": lambda: np.zeros((0, 3)),
    "tensors": lambda: torch.arange(3),
    "sets": lambda: {"mapping": {"b": 1, "a": {"x", "y", "z"}}, "nested": [(1, 2.0), None]},
    "functions": lambda: [print, np.add, digest, torch.nn.Linear, own(makes(LINEAR))],
    "cycles": lambda: _cycle(),
}


def _cycle():
    one: dict[str, object] = {}
    one["self"] = [one, one]
    return one


def every() -> list[str]:
    return [digest(value()) for value in VALUES.values()]


def test_equal_in_other_processes():
    """Hash seeds, interpreters, pickles and workers change nothing."""
    here = every()
    assert len(set(here)) == len(here)
    code = f"import runpy; print(*runpy.run_path({str(Path(__file__))!r})['every']())"
    for seed in ("0", "1"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
        assert done.stdout.split() == here, done.stderr
    sent = [value() for value in VALUES.values()]
    assert joblib.Parallel(2)(joblib.delayed(digest)(value) for value in sent) == here


def test_different_values_differ():
    a = np.zeros(3)
    for one, other in (
        (a, a.reshape(3, 1)),
        (a, a.astype(np.float32)),
        (a, [0.0, 0.0, 0.0]),
        (1, 1.0),
        (1, True),
        ("a", b"a"),
        ({"a": 1}, {"a": 2}),
        ([1, [2, 3]], [[1, 2], 3]),
        (("ab", "c"), ("a", "bc")),
        (lambda x: x + 1, lambda x: x + 2),
    ):
        assert digest(one) != digest(other)
