"""`foretell estimate`."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from foretell.cli import app
from foretell.errors import ForetellError

TEXT = """
from torch import nn


def block(c, out):
    return [nn.Conv2d(c, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU()]


def make(width=32, depth=4):
    layers = [*block(3, width)]
    for _ in range(depth - 1):
        layers += block(width, width)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))


def both():
    return {"small": make(4, 1), "large": make(64, 8)}


class Asks(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


def asks():
    return Asks()


number = 3
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(TEXT)
    return path


def call(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_one_network(file) -> None:
    done = call("estimate", f"{file}:make", "--input", "3,32,32", "--json")
    assert done.exit_code == 0, done.output
    (row,) = json.loads(done.stdout)
    # 3x3 convolutions with bias 3->32 and 3 times 32->32, their norms, and the head
    assert row["params"] == (27 + 1) * 32 + 3 * (288 + 1) * 32 + 4 * 64 + 330
    assert row["depth"] == 5
    assert 0 <= row["share"] <= 1


def test_several_are_ranked(file) -> None:
    done = call("estimate", f"{file}:both", "--json")
    assert [row["name"] for row in json.loads(done.stdout)] == ["large", "small"]
    table = call("estimate", f"{file}:both").stdout
    assert table.index("large") < table.index("small")
    assert "next: foretell run" in table.splitlines()[-1]


@pytest.mark.parametrize(
    ("spec", "shape", "words"),
    [
        ("{}:none", "3,32,32", "no 'none' in"),
        ("{}:number", "3,32,32", "makes no networks"),
        ("{}", "3,32,32", "file.py:name"),
        ("gone.py:make", "3,32,32", "file.py:name of a file that exists"),
        ("{}:make", "three", "--input: expected a shape such as 3,32,32"),
        ("{}:make", "3,-1,4", "--input"),
        ("{}:asks", "3,32,32", "cannot be traced: at operation '__bool__'"),
        ("{}:make", "5,32,32", "cannot be traced"),
    ],
)
def test_wrong_input_is_told_in_one_line(file, spec: str, shape: str, words: str) -> None:
    done = call("estimate", spec.format(file), "--input", shape)
    assert isinstance(done.exception, ForetellError)
    assert words in str(done.exception)
    assert "\n" not in str(done.exception)
