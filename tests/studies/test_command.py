"""`foretell bench predictors`: options reach the study, wrong ones are one clear line."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import foretell as ft
from foretell import _catalog
from foretell.cli import app
from foretell.errors import ForetellError
from foretell.spaces.parts.load import load
from foretell.tables.table import Table

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
    rows = Table.open("nb-graph:cora", space=load("nb-graph"))
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


def test_the_page_again_and_of_an_unfinished_study(table: str, tmp_path: Path):
    out = tmp_path / "out"
    args = ("--table", table, "--space", "nb201", "--target", "val_loss", "--minimize")
    more = ("--predictors", "rf", "--train-sizes", "20,30", "--seeds", "2", "--out", str(out))
    assert bench(*args, *more).exit_code == 0
    page = (out / "report.html").read_bytes()
    (out / "report.html").unlink()
    done = CliRunner().invoke(app, ["report", str(out)])
    assert done.exit_code == 0, done.output
    assert (out / "report.html").read_bytes() == page
    lines = (out / "results.jsonl").read_text().splitlines(keepends=True)
    (out / "results.jsonl").write_text("".join(lines[:3]))
    done = CliRunner().invoke(app, ["report", str(out)])
    assert done.exit_code == 0, done.output
    assert (out / "report.html").read_bytes() != page


@pytest.mark.parametrize(
    ("run", "cells", "said"),
    [
        ({"study": "predictors"}, None, "no results of a study of predictors"),
        ({"study": "searches"}, None, "no results of a study of searches"),
        ({"study": "predictors", "split": "x"}, None, "damaged at split: expected uniform or"),
        ({"study": "predictors", "tune": 7}, None, "damaged at tune: expected a text, got 7"),
        ({"study": "predictors"}, {"predictor": "gp"}, "results.jsonl is damaged at"),
        (
            {"study": "predictors"},
            {"predictor": "gp", "settings": "", "n_train": 9, "seed": 0, "kendall": "high"},
            "results.jsonl is damaged at",
        ),
    ],
)
def test_folders_without_a_page(run: dict, cells: dict | None, said: str, tmp_path: Path):
    (tmp_path / "run.json").write_text(json.dumps({"format": 2, **run}))
    if cells:
        (tmp_path / "results.jsonl").write_text(
            json.dumps({"event": "cell", "error": "", **cells}) + "\n"
        )
    done = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert isinstance(done.exception, ForetellError)
    assert said in str(done.exception)
    assert "\n" not in str(done.exception)
    assert not (tmp_path / "report.html").exists()


def test_the_next_command_of_an_import_names_the_space_as_the_user_did(tmp_path: Path):
    spec = tmp_path / "mine.py"
    spec.write_text(
        "import foretell as ft\n"
        "tiny = ft.Space.from_choices({'a': [1, 2], 'b': [1, 2, 3]}, build=lambda *_: None)\n"
    )
    rows = [f'"a={a},b={b}",0.{a}{b}' for a in (1, 2) for b in (1, 2, 3)]
    (tmp_path / "rows.csv").write_text("\n".join(["arch,val_acc", *rows]) + "\n")
    to = ["--space", f"{spec}:tiny", "--out", str(tmp_path / "rows.parquet")]
    done = CliRunner().invoke(app, ["data", "import", str(tmp_path / "rows.csv"), *to])
    assert done.exit_code == 0, done.output
    assert f"--space {spec}:tiny --target val_acc" in done.stdout


def test_a_table_opens_without_the_package_of_a_benchmark(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    rows = tuple(
        dataclasses.replace(row, packages=("no_such_package",)) if row.packages else row
        for row in _catalog.KINDS["benchmark"]
    )
    monkeypatch.setitem(_catalog.KINDS, "benchmark", rows)
    args = ("--target", "val_loss", "--minimize", "--predictors", "mean", "--train-sizes", "20")
    done = bench("--table", table, "--space", "nb201", *args, "--out", str(tmp_path / "out"))
    assert done.exit_code == 0, done.output
    lost = bench("--table", "nb-graph:cora", *args, "--out", str(tmp_path / "lost"))
    assert "no_such_package" in str(lost.exception)
