"""`foretell bench predictors`: options reach the study, wrong ones are one clear line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import foretell as ft
from foretell import benchmarks
from foretell.cli import app
from foretell.errors import ForetellError
from foretell.evaluators.table import Table
from foretell.spaces.load import load

SPACE = ft.spaces.get("nb201")


def bench(*args: str):
    return CliRunner().invoke(app, ["bench", "predictors", *args])


@pytest.fixture
def table(tmp_path: Path) -> str:
    X = SPACE.sample(150, rng=0)
    loss = -(X == 3).sum(axis=1) + np.random.default_rng(0).normal(0, 0.1, 150)
    return str(Table(SPACE, X, {"val_loss": loss}).write(tmp_path / "table.csv"))


def test_a_study_of_small_values(table: str, tmp_path: Path):
    args = ("--table", table, "--space", "nb201", "--target", "val_loss", "--minimize")
    more = ("--predictors", "rf", "--train-sizes", "30", "--seeds", "2", "--tune", "2")
    done = bench(*args, *more, "--out", str(tmp_path / "out"))
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1].endswith(f"next: open {tmp_path / 'out' / 'report.html'}")
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"report.html", "summary.md", "summary.csv", "results.csv", "results.jsonl"} <= files
    said = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (said["direction"], said["tune"]) == ("min", "2")
    # all is there: the same command computes nothing, and gives the records
    again = bench(*args, *more, "--out", str(tmp_path / "out"), "--json")
    frame = json.loads(again.stdout)
    assert (
        min(t for p, t in zip(frame["predictor"], frame["kendall"], strict=True) if p == "rf") > 0
    )


def test_a_benchmark_knows_its_space_and_what_an_option_misses_is_said(tmp_path: Path):
    pytest.importorskip("nas_bench_graph")
    args = ("--table", "nb-graph:cora", "--target", "val_perf", "--out", str(tmp_path / "out"))
    few = ("--predictors", "mean", "--train-sizes", "20", "--seeds", "1")
    assert bench(*args, *few).exit_code == 0
    rows = benchmarks.table("nb-graph:cora", load("nb-graph"))
    assert json.loads((tmp_path / "out" / "run.json").read_text())["space"] == rows.space.name


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--split", "half"), "split: expected uniform or mutation, got 'half'"),
        (("--tune", "fast"), "tune: expected trials such as 20, or a time such as 60s, got fast"),
        (("--predictors", "rff"), "did you mean 'rf'"),
        (("--train-sizes", "20,x"), "--train-sizes: expected whole numbers"),
        (("--train-sizes", "999"), "at least 10 test rows are left"),
    ],
)
def test_wrong_options(more: tuple[str, ...], said: str, table: str, tmp_path: Path):
    args = ("--table", table, "--space", "nb201", "--target", "val_loss")
    done = bench(*args, "--out", str(tmp_path / "out"), *more)
    assert isinstance(done.exception, ForetellError)  # `main` prints it, exit code 2
    assert said in str(done.exception)
    assert "\n" not in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_a_table_that_does_not_say_its_space(table: str, tmp_path: Path):
    done = bench("--table", table, "--target", "val_loss", "--out", str(tmp_path / "out"))
    assert "does not say its space" in str(done.exception)
    assert "--space" in str(done.exception)
