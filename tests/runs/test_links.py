"""Nothing outside of a run's folder is touched, and a folder that is gone is not written on."""

from __future__ import annotations

import contextlib
import os
import shutil

import numpy as np
import pytest

from foretell import NAS
from foretell._files import write_text
from foretell.errors import RunError
from foretell.report import write as write_report
from foretell.runs import journal
from foretell.runs.events import Stop
from foretell.runs.folder import RunFolder
from foretell.runs.journal import Journal

SETTINGS = {"n_train": 2, "top_k": 1, "epochs": 1, "workers": 0, "predictor": "mean"}
FILES = (".lock", "run.log", "trials.jsonl", "report.html", "report.html.tmp", "run.json.tmp",
         "ranking.csv", "ranking.csv.tmp", "predictions.csv", "best.tmp")  # fmt: skip


def _rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 3)).astype(np.float32)
    return X, (X[:, 0] > X[:, 1]).astype(int)


ROWS = _rows()


def search(out, on_event=lambda progress: None):
    return NAS("tabular", out=out, compare_random=False, **SETTINGS).fit(ROWS, on_event=on_event)


@pytest.fixture
def mine(tmp_path):
    """A folder and a file of the user that no run may touch."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in (
        "thesis.txt",
        "3.safetensors",
        "0.state.safetensors",
        "1.safetensors.ab12cd34.part",
    ):
        (folder / name).write_text("precious")
    return folder


def untouched(mine):
    files = list(mine.iterdir())
    return len(files) == 4 and all(path.read_text() == "precious" for path in files)


@pytest.mark.parametrize("name", FILES)
def test_a_link_is_not_written_through(name, mine, tmp_path):
    run = tmp_path / "run"
    search(run)
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(mine / "thesis.txt")
    with contextlib.suppress(RunError):
        search(run)
    assert untouched(mine)


def test_checkpoints_that_lead_elsewhere_are_refused(mine, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(KeyboardInterrupt):
        search(run, interrupt)
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    (run / "checkpoints").symlink_to(mine)
    with pytest.raises(RunError, match="checkpoints is a link"):
        search(run)
    assert untouched(mine)


def test_files_of_others_in_the_folder_of_weights_stay(tmp_path):
    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        search(run, interrupt)
    names = ("notes.txt", "999.safetensors", "0.safetensors.bak", ".hidden")
    (run / "checkpoints").mkdir(exist_ok=True)
    for name in names:
        (run / "checkpoints" / name).write_text("precious")
    search(run)
    assert {path.name for path in (run / "checkpoints").iterdir()} == set(names)


def interrupt(progress):
    if "1/" in str(progress):
        raise KeyboardInterrupt


def test_a_part_of_a_file_is_always_new(tmp_path, mine):
    for _ in range(20):
        write_text(tmp_path / "a.txt", "b")
    assert untouched(mine)
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["a.txt"]


@pytest.mark.parametrize("name", ["trials.jsonl", ".lock", "run.log"])
def test_a_pipe_is_no_journal_and_blocks_nobody(name, tmp_path):
    run = tmp_path / "run"
    search(run)
    (run / name).unlink()
    os.mkfifo(run / name)
    if name == "run.log":  # nothing depends on it
        search(run)
        return
    with pytest.raises(RunError, match="no file"):
        search(run)
    if name == "trials.jsonl":
        with pytest.raises(RunError, match="no file"):
            write_report(run)


def removed(folder):
    shutil.rmtree(folder)


def moved(folder):
    folder.rename(folder.with_name("elsewhere"))


def replaced(folder):
    path = folder / "trials.jsonl"
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)


@pytest.mark.parametrize("what", [removed, moved, replaced])
def test_a_folder_that_is_gone_stops_the_run_in_words(what, tmp_path):
    run, done = tmp_path / "run", []

    def once(progress):
        if "1/" in str(progress) and not done:
            done.append(True)
            what(run)

    with pytest.raises(RunError, match=r"removed, moved or replaced|cannot"):
        search(run, once)
    if what is moved:
        events = journal.read(tmp_path / "elsewhere" / "trials.jsonl")
        assert sum(event["event"] == "trial" for event in events) == 1
        search(tmp_path / "elsewhere")


def test_nothing_is_appended_to_a_file_that_nobody_sees(tmp_path):
    with Journal(tmp_path / "trials.jsonl") as log:
        log.append(Stop("a"))
        (tmp_path / "trials.jsonl").rename(tmp_path / "other")
        with pytest.raises(RunError, match="removed, moved or replaced"):
            log.append(Stop("b"))
    assert len(journal.read(tmp_path / "other")) == 1
    assert RunFolder(tmp_path / "new").path.is_dir()
