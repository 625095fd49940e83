"""A search in a folder: continued, told of in words, drawn, and beside random search."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import foretell as ft
from foretell import report
from foretell.cli import app
from foretell.errors import RunError
from foretell.supernets.alarm import alarm
from foretell.supernets.folder import search_in
from foretell.training.data import load


@pytest.fixture(scope="module")
def digits():
    return load("digits", fractions=(0.08, 0.05, 0.87))


def test_the_command_searches_reports_and_goes_on(tmp_path) -> None:
    args = ["supernet", "--data", "digits", "--space-setting", "channels=4"]
    args += ["--space-setting", "n_cells=1", "--method", "gdas", "--epochs", "2"]
    args += ["--train", "1", "--out", str(tmp_path / "s"), "--json"]
    done = CliRunner().invoke(app, args)
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout.strip().splitlines()[-1])
    assert result["random_networks"] >= 1
    assert 0 <= result["chosen"]["val_acc"] <= 1
    page = (tmp_path / "s" / "report.html").read_text()
    for words in ("Skip connections", "Against random search", "Weights of operations", "edge_0_1"):
        assert words in page
    records = (tmp_path / "s" / "records.jsonl").read_text().splitlines()
    again = json.loads(CliRunner().invoke(app, args).stdout.strip().splitlines()[-1])
    assert {k: again[k] for k in again if k != "report"} == {
        k: result[k] for k in result if k != "report"
    }
    assert (tmp_path / "s" / "records.jsonl").read_text().splitlines() == records
    other = CliRunner().invoke(app, [*args, "--seed", "5"])
    assert isinstance(other.exception, RunError)
    assert "another search" in str(other.exception)


def test_killed_by_the_system_it_continues_to_the_same_result(digits, tmp_path) -> None:
    """A kill that nothing can catch, at some step; then the same call again."""
    code = (
        "import sys, os, foretell as ft\n"
        "from foretell.supernets import loop, state\n"
        "from foretell.supernets.folder import search_in\n"
        "from foretell.training.data import load\n"
        "state.EVERY_S = 0.0\n"
        "n, step = int(sys.argv[2]), loop.Run._step\n"
        "def counted(self, update):\n"
        "    global n\n"
        "    n -= 1\n"
        "    n or os.kill(os.getpid(), 9)\n"
        "    return step(self, update)\n"
        "loop.Run._step = counted\n"
        "space = ft.spaces.get('nb201', channels=4, n_cells=1)\n"
        "data = load('digits', fractions=(0.08, 0.05, 0.87))\n"
        "search_in(sys.argv[1], space, data, 'few-shot', settings={'method': 'gdas'}, epochs=4)\n"
    )
    space = ft.spaces.get("nb201", channels=4, n_cells=1)
    settings = {"method": "gdas"}
    whole = search_in(tmp_path / "a", space, digits, "few-shot", settings=settings, epochs=4)
    for steps in (5,):
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "b"), str(steps)])
        assert done.returncode == -9
    broken = search_in(tmp_path / "b", space, digits, "few-shot", settings=settings, epochs=4)
    for key in ("best", "ranking", "inherited", "alarm"):
        assert whole[key] == broken[key]
    assert report.write(tmp_path / "b").exists()


def test_alarm_in_words() -> None:
    calm = {"epoch": 0, "weighted": 3, "sites": 6, "skip_share": 0.3, "val_discrete": 0.8}
    assert alarm([calm]).level == "calm"
    assert alarm([calm], chosen_weighted=0).level == "collapsed"
    bad = {**calm, "weighted": 0}
    assert alarm([bad]).level == "collapsed"
    assert alarm([bad, bad, bad, calm]).level == "leaning"
    assert "identities" in alarm([{**calm, "skip_share": 0.9}]).text
    sharp = [{**calm, "val_mixture": 0.8, "eigenvalue": 0.1},
             {**calm, "val_mixture": 0.8, "val_discrete": 0.3, "eigenvalue": 0.4}]  # fmt: skip
    assert "times as sharp" in alarm(sharp).text
