"""Names of trackers, packages that are missing, and the lines that tell of them."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest

from foretell import _catalog
from foretell.errors import MissingExtraError, SettingError
from foretell.trackers.base import logs, watch


def test_each_name_is_one_tracker(tmp_path):
    names = logs()
    found = watch([*names, "csv"], tmp_path, f"sqlite:///{tmp_path}/x.db")
    assert [type(one).__module__.rpartition(".")[2] for one in found] == [*names, "optuna"]
    assert sorted([*names, "optuna"]) == _catalog.names("tracker")


def test_unknown_name(tmp_path):
    with pytest.raises(SettingError, match="unknown log 'cvs': expected some of csv, tensorboard"):
        watch(["cvs"], tmp_path)


@pytest.mark.parametrize(
    ("names", "url", "package", "extra"),
    [
        (["tensorboard"], None, "tensorboard", "tensorboard"),
        (["mlflow"], None, "mlflow", "mlflow"),
        (["wandb"], None, "wandb", "wandb"),
        ([], "sqlite:///x.db", "optuna", "optuna"),
    ],
)
def test_missing_package_says_the_pip_line(monkeypatch, tmp_path, names, url, package, extra):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == package else real(name, *a)
    )
    with pytest.raises(MissingExtraError, match=rf"pip install 'foretell\[{extra}\]'"):
        watch(names, tmp_path, url)


@pytest.mark.parametrize("url", ["nosuch://x", "sqlite:////no/such/folder/x.db", "/no/such/x.log"])
def test_storage_that_cannot_be_opened(tmp_path, url):
    with pytest.raises(SettingError, match="cannot open the Optuna storage") as caught:
        watch([], tmp_path, url)
    assert "\n" not in str(caught.value)


LOOKS_UP = """
import os, socket, sys, time, warnings
from pathlib import Path

looked = []

def refuse(host, *args, **more):
    if host not in (None, "localhost", "127.0.0.1", socket.gethostname()):
        looked.append(host)
    raise socket.gaierror(f"no such host {host}")

socket.getaddrinfo = refuse
warnings.simplefilter("ignore")
import foretell as ft
from foretell.trackers.base import logs, watch

space = ft.Space.from_choices({"a": [1, 2]}, build=print)
trial = {"event": "trial", "id": 0, "phase": "sample", "arch": "a=1", "x": [0], "seed": 1,
         "status": "ok", "error": "", "metrics": {"val_acc": 0.5}, "curve": {"val_acc": [0.5]},
         "seconds": 1.0, "params": 1, "flops": 2, "epochs": 1, "stopped": False, "replicate": 0,
         "costs": {}}
for watcher in watch(logs(), Path(sys.argv[1]), f"sqlite:///{sys.argv[1]}/x.db"):
    watcher.begin({"name": "x", "created": "now"}, space, "val_acc", [])
    watcher.event(trial)
    watcher.end({"metrics": {"val_acc": 0.5}, "arch": "a=1"})
if "mlflow" in sys.modules:
    from mlflow.telemetry.utils import is_telemetry_disabled
    assert is_telemetry_disabled()
time.sleep(0.5)
print("looked up:", looked, os.environ["WANDB_ERROR_REPORTING"])
"""


@pytest.mark.slow
def test_no_tracker_looks_anything_up(tmp_path):
    hides = ("CI", "PYTEST", "GITHUB", "MLFLOW", "WANDB", "DO_NOT_TRACK", "JENKINS")
    env = {k: v for k, v in os.environ.items() if not k.startswith(hides)}
    done = subprocess.run(
        [sys.executable, "-c", LOOKS_UP, tmp_path], env=env, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1:] == ["looked up: [] false"], done.stderr


def test_what_the_environment_says_of_telemetry_holds(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    watch(["csv"], tmp_path)
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "false"
