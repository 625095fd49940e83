"""Names of trackers, packages that are missing, and the lines that tell of them."""

from __future__ import annotations

import importlib.util

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
