from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from foretell._files import write_text
from foretell.errors import RunError
from foretell.runs import folder as folder_module
from foretell.runs.folder import RunFolder
from foretell.runs.record import FORMAT, RunRecord, upgrade

FORMAT_1 = json.loads((Path(__file__).parent / "data" / "format1" / "run.json").read_text())
SETTINGS = {
    "seed": 0,
    "n_train": 12,
    "workers": 2,
    "space": {"name": "nb201", "settings": {"channels": 16}},
    "data": {"digest": "abc", "sizes": {"train": 1, "val": 2}},
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
    assert RunFolder(folder.path).settle(SETTINGS) == {"format": FORMAT, **SETTINGS}


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
    ("key", "value"),
    [
        ("workers", 8),
        ("recipe.device", "cuda"),
        ("command", ["x"]),
        ("versions", {"torch": "3.0"}),
        ("backend", "ray"),
        ("address", "auto"),
        ("resources", {"num_gpus": 0.5}),
        ("timeout_s", 60.0),
        ("memory_gb", 4.0),
        ("max_retries", 3),
        ("budget", {"trials": 10}),
    ],
)
def test_where_it_runs_and_for_how_long_may_change(tmp_path, key, value):
    folder = RunFolder(tmp_path)
    folder.settle(SETTINGS)
    assert folder.settle(changed(key, value)) is not None
    assert folder.settle(SETTINGS) is not None


def test_a_study_has_a_budget_of_another_kind(tmp_path):
    """That of a run says when to stop; that of a study is what its results mean."""
    study = {"study": "searches", "budget": 100}
    RunFolder(tmp_path).settle(study)
    with pytest.raises(RunError, match="budget"):
        RunFolder(tmp_path).settle({**study, "budget": 200})


@pytest.mark.parametrize("empty", [None, {}, []])
def test_what_is_empty_is_as_good_as_absent(tmp_path, empty):
    folder = RunFolder(tmp_path)
    folder.settle(SETTINGS)
    assert folder.settle({**SETTINGS, "limits": empty}) == {"format": FORMAT, **SETTINGS}
    with pytest.raises(RunError, match="limits"):
        folder.settle({**SETTINGS, "limits": {"params": 1e6}})


# -- formats --------------------------------------------------------------------------------------


def test_settings_of_older_formats_are_read_in_the_words_of_this_format():
    objective = {"objective": "val_acc", "direction": "max"}
    assert upgrade(FORMAT_1) == {**FORMAT_1, "format": FORMAT, **objective}
    assert upgrade(upgrade(FORMAT_1)) == upgrade(FORMAT_1)
    regression = {"format": 2, "data": {"task": "regression"}}
    assert upgrade(regression)["objective"] == "val_r2"
    study = {"format": 1, "study": "searches", "budget": 100}
    assert upgrade(study) == {**study, "format": FORMAT}


def test_a_folder_of_format_1_is_continued_and_brought_to_this_format(tmp_path):
    folder = RunFolder(tmp_path)
    folder.run_json.write_text(json.dumps(FORMAT_1))
    now = RunRecord.read(upgrade(FORMAT_1), folder.run_json).to_dict()
    with pytest.raises(RunError, match="another limits"):
        folder.settle({**now, "limits": {"params": 1e6}})
    assert json.loads(folder.run_json.read_text()) == FORMAT_1, "refused, not changed"
    assert folder.settle({**now, "backend": "ray"}) == upgrade(FORMAT_1)
    assert json.loads(folder.run_json.read_text()) == upgrade(FORMAT_1)
    assert folder.settle(now) == upgrade(FORMAT_1)


# -- who may write --------------------------------------------------------------------------------


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(RunError, match=r"thesis\.tex"):
        RunFolder(tmp_path)
    assert [item.name for item in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_the_way_is_an_error(tmp_path):
    (tmp_path / "run").touch()
    with pytest.raises(RunError, match="cannot use"):
        RunFolder(tmp_path / "run")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99}', "{}", "\x00"])
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


def test_what_stands_in_a_lock_that_nobody_holds_does_not_matter(tmp_path):
    (tmp_path / ".lock").write_bytes(b"process \xb2 on \xff")
    with RunFolder(tmp_path).lock():
        assert (tmp_path / ".lock").read_text().startswith(f"process {os.getpid()} on ")


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


def test_the_next_driver_removes_what_a_killed_one_left_in_shared_memory(tmp_path):
    shm = Path("/dev/shm")
    if not shm.is_dir():
        pytest.skip("no /dev/shm")
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = [shm / f"sem.loky-{pid}-test" for pid in (dead.pid, os.getpid())]
    for path in left:
        path.touch()
    try:
        for host, gone in (("elsewhere", False), (socket.gethostname(), True)):
            (tmp_path / ".lock").write_text(f"process {dead.pid} on {host}")
            with RunFolder(tmp_path).lock():
                assert [path.exists() for path in left] == [not gone, True]
        (tmp_path / ".lock").write_text(f"process {os.getpid()} on {socket.gethostname()}")
        with RunFolder(tmp_path).lock():
            assert left[1].exists(), "that process lives"
    finally:
        for path in left:
            path.unlink(missing_ok=True)


def test_a_forked_child_does_not_keep_the_lock(tmp_path):
    """As the workers of a process pool would that outlive a killed driver."""
    code = (
        "import os, sys, time; from foretell.runs.folder import RunFolder\n"
        "with RunFolder(sys.argv[1]).lock():\n"
        "    if os.fork() == 0:\n        print(os.getpid(), flush=True); time.sleep(60)\n"
        "    time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout:
        child = int(process.stdout.readline())
        try:
            with pytest.raises(RunError, match="another run"), RunFolder(tmp_path).lock():
                pytest.fail("two drivers")
            process.kill()
            process.wait()
            os.kill(child, 0)  # it is there
            with RunFolder(tmp_path).lock():
                pass
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_file_system_without_locks_is_not_taken_for_a_second_driver(tmp_path, monkeypatch):
    def refuse(fd):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(folder_module, "_try_lock", refuse)
    with (
        pytest.raises(RunError, match=r"cannot use .*No locks available"),
        RunFolder(tmp_path).lock(),
    ):
        pytest.fail("no lock")


# -- the disk -------------------------------------------------------------------------------------


def test_write_text_replaces_the_whole_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old and longer")
    write_text(path, "new")
    assert path.read_text() == "new"
    assert [item.name for item in tmp_path.iterdir()] == ["a.txt"]
    with pytest.raises(RunError, match="cannot write"):
        write_text(tmp_path / "no" / "a.txt", "")


def test_a_read_only_folder_is_an_error_with_the_next_step(tiny_disk):
    """At every step: a new folder, the lock, the settings."""
    old = RunFolder(tiny_disk.path / "old")
    old.settle(SETTINGS)
    tiny_disk.read_only()
    with pytest.raises(RunError, match=r"Read-only file system.*give write access"):
        RunFolder(tiny_disk.path / "new")
    with pytest.raises(RunError, match="Read-only file system"), RunFolder(old.path).lock():
        pytest.fail("locked")
    with pytest.raises(RunError, match="Read-only file system"):
        write_text(old.run_json, "{}")
    assert old.settings() == {"format": FORMAT, **SETTINGS}, "it can still be read"


def test_a_full_disk_leaves_the_old_file(tiny_disk):
    path = tiny_disk.path / "a.txt"
    write_text(path, "old")
    tiny_disk.fill()
    with pytest.raises(RunError, match=r"No space left.*make room"):
        write_text(path, "new" * 10_000)
    assert path.read_text() == "old"
    assert {item.name for item in tiny_disk.path.iterdir()} == {"a.txt", "filler"}
    tiny_disk.free()
    write_text(path, "new")
    assert path.read_text() == "new"


def test_a_file_system_that_refuses_to_sync_folders_is_good_enough(tmp_path, monkeypatch):
    real = os.fsync

    def refuse(fd):
        if os.path.isdir(f"/proc/self/fd/{fd}"):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(fd)

    monkeypatch.setattr(os, "fsync", refuse)
    write_text(tmp_path / "a.txt", "text")
    assert (tmp_path / "a.txt").read_text() == "text"


def test_what_killed_writers_have_left_is_removed(tmp_path):
    folder = RunFolder(tmp_path)
    left = [
        path.with_name(f"{path.name}.{8 * 'a'}.part")
        for path in vars(folder).values()
        if path.suffix in (".csv", ".json", ".html")
    ]
    assert len(left) >= 8
    for path in left:
        path.write_text("half")
    with folder.lock():
        assert not [path.name for path in left if path.exists()]
