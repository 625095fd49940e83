"""Whole runs on real small networks that are broken in every way, and go on."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from foretell import NAS
from foretell.errors import RunError
from foretell.evaluators.trainer import Trainer
from foretell.report import write as write_report
from foretell.runs import journal
from foretell.runs.folder import RunFolder
from foretell.runs.journal import Journal
from foretell.runs.record import FORMAT
from foretell.training.checkpoint import State

FORMAT_1 = Path(__file__).parent / "data" / "format1"
SPACE = '''
from torch import nn
from foretell import Space, choice


class Tiny(Space):
    """One hidden layer, or two."""

    depth = choice([1, 2])
    width = choice([4, 6, 8, 12])
    act = choice(["relu", "tanh"])

    def build(self, x, input_shape, n_outputs):
        a = self.decode(x)
        layers, size = [], input_shape[0]
        for _ in range(a["depth"]):
            layers += [nn.Linear(size, a["width"]), {"relu": nn.ReLU, "tanh": nn.Tanh}[a["act"]]()]
            size = a["width"]
        return nn.Sequential(*layers, nn.Linear(size, n_outputs))
'''


@pytest.fixture(scope="module")
def faults():
    """The module perf/faults.py."""
    path = Path(__file__).resolve().parents[2] / "perf" / "faults.py"
    spec = importlib.util.spec_from_file_location("faults", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["faults"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A folder with space.py, flowers.csv and the unbroken run."""
    folder = tmp_path_factory.mktemp("faults")
    (folder / "space.py").write_text(SPACE)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 3))
    lines = [f"{a:.4f},{b:.4f},{c:.4f},{'xy'[int(a * b > c)]}" for a, b, c in X]
    (folder / "flowers.csv").write_text("\n".join(["a,b,c,kind", *lines]) + "\n")
    search(folder, "unbroken")
    return folder


def search(here, out, **more):
    """The same run, in this process."""
    settings = {"workers": 0, "predictor": "mean", "n_train": 5, "top_k": 2, "epochs": 2}
    settings |= {"strategy": "neural-predictor", **more}  # whose rows no worker's speed changes
    on_event = settings.pop("on_event", lambda progress: None)
    nas = NAS(space=f"{here / 'space.py'}:Tiny", out=here / out, **settings)
    return nas.fit(here / "flowers.csv", on_event=on_event)


@pytest.fixture
def equal(faults, here):
    """Raises unless a folder is the unbroken run to the bit."""

    def check(folder):
        faults.Case([], folder, here / "unbroken", 0.0, None, None).compare()

    return check


def test_kill_9_of_drivers_and_workers_changes_nothing(faults, here, tmp_path, equal):
    arguments = [
        *("--data", str(here / "flowers.csv"), "--space", f"{here / 'space.py'}:Tiny"),
        *("--train", "5", "--top", "2", "--epochs", "2", "--workers", "2", "--predictor", "mean"),
        *("--strategy", "neural-predictor"),
    ]
    tally, run = faults.Tally(), tmp_path / "run"
    case = faults.Case(arguments, run, here / "unbroken", 0.0, np.random.default_rng(0), tally)

    def at(n):
        return lambda attempt: faults.trials_of(run) >= n

    plans = [
        [("worker", at(1)), ("both", at(3))],
        [("workers", at(5)), ("everything", lambda attempt: faults.ending(run))],
    ]
    case.survive(iter(plans))
    assert tally.attempts == 3
    assert tally.kills >= 3, "one may come too late"
    assert tally.orphan_s < faults.GRACE_S
    assert faults.leaked(case.pids) == []


def test_a_network_that_was_trained_but_not_written_down_is_not_trained_again(
    here, tmp_path, equal, monkeypatch
):
    monkeypatch.setitem(Trainer.__init__.__kwdefaults__, "state_every_s", 0.0)
    run, trained, save, append = tmp_path / "run", Counter(), State.save, Journal.append

    def counted(self, *args, **more):
        trained[self.path.name] += 1
        save(self, *args, **more)

    def dies(self, event):
        if event.kind == "trial" and event.id == 3:
            raise KeyboardInterrupt
        append(self, event)

    monkeypatch.setattr(State, "save", counted)  # once an epoch
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", dies)
        with pytest.raises(KeyboardInterrupt):
            search(here, run)
    states = {path.name for path in (run / "checkpoints").glob("*.state*")}
    assert states == {RunFolder(run).state(3).name}, "those written down need theirs no longer"
    search(here, run)
    assert len(trained) == 7
    assert set(trained.values()) == {2}
    equal(run)


class FillsUp:
    """Watches a run, and fills the disk at an event with a text."""

    def __init__(self, disk, text):
        self.disk, self.text = disk, text

    def __call__(self, progress):
        if self.text in str(progress) and not (self.disk.path / "filler").exists():
            self.disk.fill()


@pytest.mark.parametrize("text", ["0/7", "ranked", "6/7", "writes the best"])
def test_a_run_on_a_disk_that_gets_full_goes_on_when_there_is_room(
    text, here, tiny_disk, tmp_path, equal
):
    tiny_disk.enlarge()
    run = tiny_disk.path / "run"
    with pytest.raises(RunError, match="No space left") as error:
        search(here, run, on_event=FillsUp(tiny_disk, text))
    assert "\n" not in str(error.value)
    assert "make room" in str(error.value)
    kept = journal.read(run / "trials.jsonl")
    assert all(not event.get("error") for event in kept), "no network is to blame"
    assert not list(run.rglob("*.tmp")) + list(run.rglob("*.part"))
    tiny_disk.free()
    search(here, run)
    assert journal.read(run / "trials.jsonl")[: len(kept)] == kept
    equal(run)


def test_a_run_that_has_ended_on_a_disk_that_is_read_only_now(here, tiny_disk):
    shutil.copytree(here / "unbroken", tiny_disk.path / "run")
    tiny_disk.read_only()
    with pytest.raises(RunError, match=r"Read-only file system.*give write access"):
        search(here, tiny_disk.path / "run")
    with pytest.raises(RunError, match=r"Read-only file system.*give write access"):
        write_report(tiny_disk.path / "run")


def test_a_torn_trial_in_the_middle_is_named_and_can_be_taken_out(here, tmp_path, equal):
    shutil.copytree(here / "unbroken", tmp_path / "run")
    path = tmp_path / "run" / "trials.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:3], lines[3][:40] + "\n", *lines[4:]]))
    with pytest.raises(RunError, match=r"line 4 .* take the line out if it was a trial"):
        search(here, tmp_path / "run")
    assert len(path.read_text().splitlines()) == len(lines), "nothing is thrown away"
    path.write_text("".join([*lines[:3], *lines[4:]]))
    search(here, tmp_path / "run")
    equal(tmp_path / "run")


def test_a_journal_that_was_cut_off_anywhere_goes_on(here, tmp_path, equal):
    data = (here / "unbroken" / "trials.jsonl").read_bytes()
    for i, cut in enumerate(np.linspace(1, len(data) - 1, 4).astype(int)):
        folder = tmp_path / str(i)
        shutil.copytree(here / "unbroken", folder)
        shutil.rmtree(folder / "best")
        (folder / "trials.jsonl").write_bytes(data[:cut])
        search(here, folder)
        equal(folder)


def test_a_run_of_format_1_is_reported_and_continued(tmp_path):
    shutil.copytree(FORMAT_1, tmp_path / "run")
    path = tmp_path / "run" / "trials.jsonl"
    before = path.read_bytes()
    assert "fused_d2_e4_c16_se0+fused_d2_e4_c24_se0.25" in write_report(path.parent).read_text()
    assert path.read_bytes() == before
    assert json.loads((tmp_path / "run" / "run.json").read_text())["format"] == 1
    path.write_bytes(b"".join(before.splitlines(keepends=True)[:8]))  # one network is missing
    nas = NAS(
        space="mobile", space_settings={"preset": "tiny"}, predictor="n-params", n_train=4,
        top_k=2, epochs=2, workers=0, out=tmp_path / "run", strategy="neural-predictor",
    ).fit("digits")  # fmt: skip
    assert path.read_bytes().startswith(b"".join(before.splitlines(keepends=True)[:8]))
    trials = [event for event in journal.read(path) if event["event"] == "trial"]
    assert [event["id"] for event in trials] == [1, 2, 3, 0, 4, 5]
    old = json.loads(before.splitlines()[8])
    assert {k: trials[-1][k] for k in ("arch", "seed", "phase")} == {
        k: old[k] for k in ("arch", "seed", "phase")
    }
    assert nas.summary_["trials"] == 6
    assert RunFolder(tmp_path / "run").settings()["format"] == FORMAT
    assert json.loads((tmp_path / "run" / "run.json").read_text())["format"] == FORMAT


# -- what was changed while nobody looked ----------------------------------------------------------


def broken_off(here, run, monkeypatch, **more):
    """A run that ends when all is trained and `best/` is not there yet; its best network."""

    def at_the_end(progress):
        if "writes the best" in str(progress):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(here, run, on_event=at_the_end, **more)
    trials = [e for e in journal.read(run / "trials.jsonl") if e["event"] == "trial"]
    return max(trials, key=lambda e: (e["metrics"]["val_acc"], -e["metrics"]["val_loss"]))


@pytest.mark.parametrize("at", [-3, 10, 0])
def test_flipped_bits_of_the_best_weights_are_found_and_trained_again(
    at, here, tmp_path, equal, monkeypatch
):
    run = tmp_path / "run"
    best = broken_off(here, run, monkeypatch)
    path = RunFolder(run).checkpoint(best["id"])
    data = bytearray(path.read_bytes())
    data[at] ^= 64
    path.write_bytes(data)
    said = []
    search(here, run, on_event=lambda progress: said.append(str(progress)))
    assert any(f"{path.name} is damaged" in text for text in said)
    equal(run)


def test_flipped_bits_of_a_half_trained_network_are_found(here, tmp_path, equal, monkeypatch):
    monkeypatch.setitem(Trainer.__init__.__kwdefaults__, "state_every_s", 0.0)
    run, append = tmp_path / "run", Journal.append

    def dies(self, event):
        if event.kind == "trial" and event.id == 3:
            raise KeyboardInterrupt
        append(self, event)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", dies)
        with pytest.raises(KeyboardInterrupt):
            search(here, run)
    (state,) = (run / "checkpoints").glob("*.state*")
    data = bytearray(state.read_bytes())
    data[-40] ^= 64
    state.write_bytes(data)
    search(here, run)
    equal(run)


def test_a_figure_that_was_edited_is_named(here, tmp_path, monkeypatch):
    run = tmp_path / "run"
    best = broken_off(here, run, monkeypatch)
    path = run / "trials.jsonl"
    lines = path.read_text().splitlines()
    for i, line in enumerate(lines):
        event = json.loads(line)
        if event["event"] == "trial" and event["id"] == best["id"]:
            event["metrics"]["val_acc"] += 0.2
            lines[i] = json.dumps(event)
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(RunError, match="does not come back from its weights: val_acc"):
        search(here, run)
    assert not (run / "best").exists()


def test_a_space_whose_code_changed_is_named(here, tmp_path, monkeypatch):
    (tmp_path / "space.py").write_text(SPACE)
    shutil.copy(here / "flowers.csv", tmp_path)
    run = tmp_path / "run"
    broken_off(tmp_path, run, monkeypatch)
    (tmp_path / "space.py").write_text(SPACE + "\n# a comment changes nothing\n")
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, run, on_event=interrupt)
    (tmp_path / "space.py").write_text(SPACE.replace("nn.ReLU", "nn.GELU"))
    with pytest.raises(RunError, match=r"another space\.source"):
        search(tmp_path, run)


def interrupt(progress):
    raise KeyboardInterrupt


def test_a_run_that_is_ended_at_its_file_operations_is_the_unbroken_one(tmp_path):
    path = Path(__file__).resolve().parents[2] / "perf" / "operations.py"
    command = [sys.executable, str(path), "--kills", "6", "--first", "60", "--step", "41"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "runs ended equal" in done.stdout
