"""Optuna itself opens the study and finds every trial, its parameters, value and curve."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

import foretell as ft
from foretell.errors import SettingError
from foretell.integrations.optuna import PredictorSampler, suggest
from foretell.runs.assemble import Parts
from foretell.trackers.optuna import OptunaMirror
from foretell.training.data import load

STATES = [TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED, TrialState.RUNNING]


def by_id(study):
    trials = {trial.user_attrs["foretell_id"]: trial for trial in study.get_trials()}
    assert len(trials) == len(study.get_trials())
    return [trials[i] for i in sorted(trials)]


def check(study, journal):
    """Every trial of the journal, all that is known of it, and nothing twice."""
    whole, failed, stopped = by_id(study)[:3]
    assert study.direction is optuna.study.StudyDirection.MAXIMIZE
    assert (study.best_trial.value, study.best_trial.number) == (0.75, whole.number)
    assert [one.state for one in (whole, failed, stopped)] == STATES[:3]
    assert whole.params == {"depth": 1, "op_0": "skip", "rate": 0.2}  # op_1 does not apply
    assert stopped.params == {"depth": 2, "op_0": "skip", "op_1": "skip", "rate": 0.2}
    assert whole.intermediate_values == {1: 0.25, 3: 0.75}
    assert stopped.intermediate_values == {1: 0.125, 2: 0.5}
    assert (whole.value, failed.value, stopped.value) == (0.75, None, 0.5)
    assert failed.user_attrs["error"] == "RuntimeError: no memory"
    wanted = {"foretell_id": 0, "arch": journal[1]["arch"], "phase": "sample", "params": 1000}
    wanted |= {"flops": 2000, "seconds": 1.5, "seed": 100, "latency_ms": 2.5}
    assert wanted.items() <= whole.user_attrs.items()


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_read_back(tmp_path, tracked, journal, kind):
    url = f"sqlite:///{tmp_path}/x.db" if kind == "sqlite" else f"{tmp_path}/x.log"
    for at in (0, 2, len(journal)):
        tracked(lambda: OptunaMirror(tmp_path / "my-run", url), live_from=at, end=False)
    storage = url
    if kind == "journal":
        backend = optuna.storages.journal.JournalFileBackend(url)
        storage = optuna.storages.JournalStorage(backend)
    study = optuna.load_study(study_name="my-run", storage=storage)
    check(study, journal)
    assert [one.state for one in by_id(study)] == STATES
    tracked(lambda: OptunaMirror(tmp_path / "my-run", url), live_from=1)
    assert by_id(study)[3].state is TrialState.FAIL
    assert "ended before" in by_id(study)[3].user_attrs["left"]


def test_a_trial_is_there_as_soon_as_it_is_asked_for(tmp_path, space, journal):
    mirror = OptunaMirror(tmp_path / "x", f"sqlite:///{tmp_path}/x.db")
    mirror.begin({}, space, "val_acc", [])
    mirror.event(journal[0])
    mirror.event(journal[2])  # a rung
    study = optuna.load_study(study_name="x", storage=f"sqlite:///{tmp_path}/x.db")
    assert [one.state for one in by_id(study)] == [TrialState.RUNNING] * 4
    assert by_id(study)[2].intermediate_values == {1: 0.125}


class Killed(BaseException):
    """Not an error that anybody would catch."""


def test_killed_at_any_write(tmp_path, tracked, journal, monkeypatch):
    """The process ends at its k-th write to the storage; the next one completes the study."""
    backend = optuna.storages.journal.JournalFileBackend
    real = backend.append_logs
    writes = 0

    def killed(self, logs):
        nonlocal writes
        writes += 1
        if writes > allowed:
            raise Killed
        real(self, logs)

    for allowed in range(100):
        url, writes = f"{tmp_path}/{allowed}.log", 0
        with monkeypatch.context() as patch, contextlib.suppress(Killed):
            patch.setattr(backend, "append_logs", killed)
            tracked(lambda url=url: OptunaMirror(tmp_path / "x", url), end=False)
        tracked(lambda url=url: OptunaMirror(tmp_path / "x", url), len(journal), end=False)
        storage = optuna.storages.JournalStorage(backend(url))
        check(optuna.load_study(study_name="x", storage=storage), journal)
        if writes <= allowed:
            break
    assert 20 < allowed < 99  # it came to an end unkilled, and had enough chances before


def test_another_run_of_the_same_name_has_its_own_study(tmp_path, space, journal):
    url = f"sqlite:///{tmp_path}/x.db"
    for created in ("monday", "tuesday", "monday"):
        OptunaMirror(tmp_path / "x", url).begin({"created": created}, space, "val_acc", journal)
    names = optuna.get_all_study_names(storage=url)
    assert len(names) == 2
    assert names[0] == "x"
    for name in names:
        check(optuna.load_study(study_name=name, storage=url), journal)


def test_the_log_of_others_stays_as_it_is(tmp_path, space):
    before = optuna.logging.get_verbosity()
    OptunaMirror(tmp_path / "x", f"sqlite:///{tmp_path}/x.db").begin({}, space, "val_acc", [])
    assert optuna.logging.get_verbosity() == before


def test_a_mirror_can_be_led_on_by_the_sampler(tmp_path, tracked, space):
    tracked(lambda: OptunaMirror(tmp_path / "x", f"sqlite:///{tmp_path}/x.db"))
    sampler = PredictorSampler(space=space, seed=0, n_startup_trials=2)
    study = optuna.load_study(study_name="x", storage=f"sqlite:///{tmp_path}/x.db", sampler=sampler)
    known = {tuple(t.params.items()) for t in study.trials if t.state is TrialState.COMPLETE}
    study.optimize(lambda trial: float(suggest(trial, space).sum()), n_trials=2)
    assert {tuple(t.params.items()) for t in study.trials[-2:]}.isdisjoint(known)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+nothing://me:s3cr:t@localhost:1/db",
        "postgresql+nothing://me:s3cr/t@x'y@localhost:1/db",
        "postgresql+nothing://localhost:1/db?user=me&password=s3cr",
    ],
)
def test_the_password_of_a_storage_is_nowhere(url, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["foretell", "run", "--optuna", url, f"--optuna={url}"])
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 3)).astype(np.float32)
    data = load((X, (X[:, 0] > 0).astype(int)), seed=0)
    nas = ft.NAS(space="tabular", optuna=url, out=tmp_path / "run")
    written = json.dumps(Parts.of(nas, data).record().to_dict())
    assert "***" in written
    assert "localhost:1/db" in written
    assert "s3cr" not in written
    with pytest.raises(SettingError) as error:
        nas.fit(data)
    assert "s3cr" not in str(error.value)
