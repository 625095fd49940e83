from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from foretell.errors import RunError
from foretell.runs.folder import RunFolder, write_text

SETTINGS = {
    "seed": 0,
    "n_train": 24,
    "workers": 2,
    "space": {"name": "nb201", "settings": {"channels": 16}},
    "data": {"digest": "abc", "sizes": [1, 2]},
    "recipe": {"epochs": 3, "device": "auto"},
}


def changed(key, value):
    settings = json.loads(json.dumps(SETTINGS))
    *path, last = key.split(".")
    here = settings
    for word in path:
        here = here[word]
    here[last] = value
    return settings


def test_a_new_run_writes_its_settings_and_the_same_ones_continue_it(tmp_path):
    folder = RunFolder(tmp_path / "a" / "run")
    assert folder.settle(SETTINGS) is None
    assert RunFolder(folder.path).settle(SETTINGS) == {"format": 1, **SETTINGS}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", 1),
        ("n_train", 25),
        ("space.settings.channels", 8),
        ("data.digest", "abd"),
        ("recipe.epochs", 4),
    ],
)
def test_a_changed_setting_is_refused_with_both_values(tmp_path, key, value):
    folder = RunFolder(tmp_path)
    folder.settle(SETTINGS)
    before = folder.run_json.read_bytes()
    with pytest.raises(RunError) as error:
        folder.settle(changed(key, value))
    old = SETTINGS
    for word in key.split("."):
        old = old[word]
    for text in (key, json.dumps(old), json.dumps(value), "--out"):
        assert text in str(error.value)
    assert folder.run_json.read_bytes() == before


def test_a_setting_that_comes_or_goes_is_refused(tmp_path):
    folder = RunFolder(tmp_path)
    folder.settle(SETTINGS)
    with pytest.raises(RunError, match="compare_random"):
        folder.settle({**SETTINGS, "compare_random": True})
    with pytest.raises(RunError, match="n_train"):
        folder.settle({key: value for key, value in SETTINGS.items() if key != "n_train"})


@pytest.mark.parametrize(
    ("key", "value"), [("workers", 8), ("recipe.device", "cuda"), ("command", ["x"])]
)
def test_where_it_runs_may_change(tmp_path, key, value):
    folder = RunFolder(tmp_path)
    folder.settle(SETTINGS)
    assert folder.settle(changed(key, value)) is not None


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(RunError, match=r"thesis\.tex"):
        RunFolder(tmp_path)
    assert [item.name for item in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_the_way_is_an_error(tmp_path):
    (tmp_path / "run").touch()
    with pytest.raises(RunError, match="cannot use"):
        RunFolder(tmp_path / "run")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 2}', "\x00"])
def test_a_run_json_of_another_kind_is_an_error(tmp_path, text):
    folder = RunFolder(tmp_path)
    folder.run_json.write_text(text)
    with pytest.raises(RunError, match=r"run\.json"):
        folder.settle(SETTINGS)


def test_a_second_driver_is_refused_and_told_who_is_first(tmp_path):
    with (
        RunFolder(tmp_path).lock(),
        pytest.raises(RunError, match=f"process {os.getpid()} on"),
        RunFolder(tmp_path).lock(),
    ):
        pytest.fail("two drivers")
    with RunFolder(tmp_path).lock():
        pass


def test_the_lock_dies_with_its_process(tmp_path):
    code = (
        "import sys, time; from foretell.runs.folder import RunFolder\n"
        "with RunFolder(sys.argv[1]).lock():\n    print('locked', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(RunError, match=f"process {process.pid} on"), RunFolder(tmp_path).lock():
            pytest.fail("two drivers")
        process.send_signal(signal.SIGKILL)
        process.wait()
    with RunFolder(tmp_path).lock():
        pass


def test_write_text_replaces_the_whole_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old and longer")
    write_text(path, "new")
    assert path.read_text() == "new"
    assert [item.name for item in tmp_path.iterdir()] == ["a.txt"]
    with pytest.raises(RunError, match="cannot write"):
        write_text(tmp_path / "no" / "a.txt", "")
