"""The command line as a user meets it: exit codes, streams, one clear line for wrong input."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foretell import cli
from foretell.errors import ForetellError
from foretell.runs.options import assignments


def call(*args: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `foretell *args`, in this process."""
    out, err = io.StringIO(), io.StringIO()
    argv, sys.argv = sys.argv, ["foretell", *args]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                cli.main()
                code = 0
            except SystemExit as stop:
                code = int(stop.code or 0)
    finally:
        sys.argv = argv
    return code, out.getvalue(), err.getvalue()


def shell(*args: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "foretell", *args]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


@pytest.mark.parametrize("kind", ["spaces", "predictors", "strategies", "encodings"])
def test_list_for_people_and_machines(kind: str) -> None:
    code, text, _ = call("list", kind)
    assert code == 0
    code, line, _ = call("list", kind, "--json")
    rows = json.loads(line)
    assert rows
    assert [row["name"] for row in rows] == sorted(row["name"] for row in rows)
    assert all(row["name"] in text for row in rows)


def test_list_marks_predictors_with_an_uncertainty() -> None:
    _, text, _ = call("list", "predictors")
    _, line, _ = call("list", "predictors", "--json")
    sure = {row["name"]: row["uncertainty"] for row in json.loads(line)}
    assert (sure["gp"], sure["xgb"]) == (True, False)
    lines = {words[0]: words[-1] for words in map(str.split, text.splitlines()) if words}
    assert {name for name, last in lines.items() if last == "yes"} == {n for n in sure if sure[n]}
    assert "uncertainty" not in call("list", "spaces", "--json")[1]


def test_doctor() -> None:
    code, line, _ = call("doctor", "--json")
    assert code == 0
    found = {fact["what"]: fact["found"] for fact in json.loads(line)}
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["torch"][0].isdigit()


NEEDS_A_FILE = """
from pathlib import Path

import torch
from torch import nn

import foretell as ft

FILE = Path(__file__).parent / "width.txt"


class Net(nn.Module):
    def __init__(self, inputs, width, outputs):
        super().__init__()
        self.a, self.b = nn.Linear(inputs, width), nn.Linear(width, outputs)

    def forward(self, x):
        x = self.a(x.flatten(1))
        return self.b(torch.tanh(x) if x.sum() < 1e9 else x)


class Own(ft.Space):
    width = ft.choice([2, 4])

    def build(self, x, input_shape, n_outputs):
        inputs = input_shape[0] * input_shape[1] * input_shape[2]
        return Net(inputs, self.decode(x)["width"] {plus}, n_outputs)
"""


@pytest.mark.parametrize("plus", ["+ int(FILE.read_text())", ""])
def test_a_check_says_what_cannot_go_along_with_a_winner(tmp_path: Path, plus: str) -> None:
    (tmp_path / "width.txt").write_text("4")
    (tmp_path / "reads_a_file.py").write_text(NEEDS_A_FILE.replace("{plus}", plus))
    code, line, _ = call("space", "check", f"{tmp_path}/reads_a_file.py:Own", "--json")
    lost = [finding for finding in json.loads(line) if finding["code"] == "best"]
    assert code == 0
    assert len(lost) == bool(plus)
    assert all("No such file or directory" in f["text"] for f in lost)
    assert all(f["level"] == "warning" for f in lost)


WRONG = {
    ("list", "foo"): "unknown kind of component 'foo'",
    ("run", "--data", "no/such/folder"): "no/such/folder",
    ("run", "--data", "digits", "--space", "nb20l"): "did you mean 'nb201'",
    ("run", "--data", "digits", "--strategy", "evolution"): "regularized-evolution",
    ("run", "--data", "digits", "--predictor", "gnc"): "did you mean 'gcn'",
    ("run", "--data", "digits", "--set", "learning-rate=1"): "learning-rate",
    ("run", "--data", "digits", "--set", "lr"): "NAME=VALUE",
    ("run", "--data", "digits", "--space", "no_such.py:Space"): "no_such.py",
    ("run", "--data", "digits", "--max", "params=abc"): "params",
    ("run", "--data", "digits", "--budget", "x"): "budget",
    ("run", "--data", "digits", "--halving", "foo"): "halving",
    ("run", "--data", "digits", "--log", "foo"): "tensorboard",
    ("run", "--data", "digits", "--backend", "slurm"): "'ray'",
    ("run", "--data", "digits", "--optuna", "nonsense://x"): "Optuna storage",
    ("export", "no/best", "--onnx", "m.onnx"): "no/best",
    ("space", "check", "nope"): "unknown space 'nope'",
    ("predict", "no/best", "x.png"): "no/best",
    ("report", "no/run"): "no/run",
    ("bench", "predictors", "--table", "no.csv", "--space", "nb201", "--target", "y"): "no.csv",
    ("bench", "search", "--table", "no.csv", "--space", "nb201", "--target", "y"): "no.csv",
}


@pytest.mark.parametrize("args", list(WRONG), ids=" ".join)
def test_wrong_input_is_one_line_and_exit_code_2(
    args: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = call(*args)
    assert code == 2
    assert out == ""
    done = shell(*args, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert WRONG[args] in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    assert not any(tmp_path.iterdir()), "wrong input must leave nothing behind"


def test_unknown_option_and_command_are_exit_code_2() -> None:
    assert call("run", "--date", "x")[0] == 2
    assert call("rnu")[0] == 2


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs=st.lists(st.tuples(names, names), max_size=3))
def test_any_training_setting_is_taken_or_refused_by_name(pairs: list[tuple[str, str]]) -> None:
    from foretell.training.recipe import Recipe

    with contextlib.suppress(ForetellError):
        Recipe.from_dict(assignments([f"{key}={value}" for key, value in pairs], "--set"))


@settings(max_examples=150)
@given(
    key=st.sampled_from(["epochs", "batch_size", "lr", "weight_decay", "optimiser", "augment"]),
    value=st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), names),
)
def test_any_value_of_a_known_setting_is_taken_or_refused_by_name(key: str, value: object) -> None:
    from foretell.training.recipe import Recipe

    try:
        recipe = Recipe.from_dict({key: value})
    except ForetellError as error:
        text = str(error)
    else:
        text = key
        assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    assert key in text


@pytest.mark.parametrize(
    "args",
    [
        ("run", "--data", "digits", "--space", "mobile", "--image-size", "\u00b2"),
        ("run", "--data", "digits", "--space", "mobile", "--image-size", "8x\u2460"),
        ("bench", "predictors", "--train-sizes", "1\u00b2"),
    ],
)
def test_digits_that_are_no_number_are_refused_in_a_line(args, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = call(*args)
    assert (code, out) == (2, "")
    (line,) = err.strip().splitlines()
    assert line.startswith(f"error: {args[-2]}")
