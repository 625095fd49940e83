"""`foretell data import` as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import foretell as ft


def shell(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "foretell", *args]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def table_of(folder: Path) -> Path:
    space = ft.spaces.get("nb201")
    lines = [f"{s},{80 + i}" for i, s in enumerate(space.to_str(space.sample(4, rng=0)))]
    file = folder / "mine.csv"
    file.write_text("\n".join(["arch,val_acc", *lines]) + "\n")
    return file


def test_says_what_it_found_and_writes_the_table(tmp_path):
    table_of(tmp_path)
    done = shell("data", "import", "mine.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert "4 architectures of nb201" in said[0]
    assert any("val_acc" in line and "percent" in line and "83" in line for line in said)
    assert said[-1].startswith("table: mine.parquet   next: foretell bench predictors --table")
    assert len(ft.Table.open(tmp_path / "mine.parquet")) == 4
    machine = shell("data", "import", "mine.csv", "--out", "t.parquet", "--json", cwd=tmp_path)
    found = json.loads(machine.stdout)
    assert found["space"] == "nb201"
    assert found["metrics"][0]["best"] == 83.0


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("no.csv",), "no.csv"),
        (("mine.csv", "--out", "x.csv"), ".parquet"),
        (("mine.csv", "--space", "nb101"), "line 2"),
        (("foreign.bin",), "no file of a known benchmark"),
        (("nb-graph:nothing",), "unknown benchmark"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(tmp_path, args, says):
    table_of(tmp_path)
    (tmp_path / "foreign.bin").write_bytes(b"\x01" * 64)
    done = shell("data", "import", *args, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert says in line
    assert sorted(file.name for file in tmp_path.iterdir()) == ["foreign.bin", "mine.csv"]
