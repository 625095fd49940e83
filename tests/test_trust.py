"""Files and folders of others are read and never run."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import foretell as ft
from foretell.cli import app
from foretell.errors import ForetellError, RunError, SpaceError
from foretell.report import write as write_report
from foretell.spaces.parts.load import load as load_space
from foretell.spaces.parts.load import named
from foretell.tables.table import Table
from foretell.winner.export import to_pt2
from foretell.winner.predict import predict

OWN = """
from pathlib import Path
import foretell as ft

Path(__file__).with_name("ran").touch()


class Own(ft.spaces.get("tabular").__class__):
    pass
"""


@pytest.fixture
def evil(tmp_path):
    """A Python file that leaves a trace when it is run."""
    (tmp_path / "evil.py").write_text(OWN)
    return tmp_path / "evil.py"


def ran(evil):
    return evil.with_name("ran").exists()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run on a table of numbers, in a space of the catalog."""
    folder = tmp_path_factory.mktemp("trust")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 3)).round(3)
    lines = [f"{a},{b},{c},{'xy'[int(a > b)]}" for a, b, c in X]
    (folder / "data.csv").write_text("\n".join(["a,b,c,kind", *lines]) + "\n")
    settings = {"n_train": 3, "top_k": 1, "epochs": 1, "workers": 0, "predictor": "mean"}
    ft.NAS("tabular", out=folder / "run", compare_random=False, **settings).fit(folder / "data.csv")
    return folder


def forms(evil):
    """Every way to write a file that `load` would run."""
    return [f"{evil}:Own", str(evil), f"{evil.parent}/./evil.py:Own"]


def test_a_file_that_run_json_names_is_not_run(evil, finished, tmp_path):
    run = shutil.copytree(finished / "run", tmp_path / "run")
    saved = json.loads((run / "run.json").read_text())
    for spec in [*forms(evil), "os:system", "../evil.py:Own"]:
        for key in ("spec", "name"):
            space = {**saved["space"], "spec": "", key: spec}
            (run / "run.json").write_text(json.dumps({**saved, "space": space}))
            page = write_report(run).read_text()
            assert "never run" in page
            assert not ran(evil)
    command = ["report", str(run), "--space", f"{evil}:Own"]
    assert CliRunner().invoke(app, command).exit_code == 0
    assert ran(evil), "what the user names is run"


def test_a_file_that_a_table_names_is_not_run(evil, tmp_path):
    pa, pq = (pytest.importorskip(name) for name in ("pyarrow", "pyarrow.parquet"))
    for spec in [*forms(evil), ["x"], None, 3]:
        head = {"format": 1, "space": spec, "settings": {}, "columns": {}, "notes": []}
        table = pa.table({"arch": ["x"], "row": [b"\0\0"], "key": [0]})
        file = tmp_path / "t.parquet"
        pq.write_table(table.replace_schema_metadata({b"foretell": json.dumps(head)}), file)
        with pytest.raises(ForetellError):
            Table.open(file)
        assert not ran(evil)


def test_only_names_of_the_catalog_are_loaded_for_data(evil):
    assert named("nb201").size == 15_625
    for spec in forms(evil):
        with pytest.raises(SpaceError, match="say it yourself"):
            named(spec)
    assert not ran(evil)
    assert load_space(f"{evil}:Own").d
    assert ran(evil)


def test_without_code_the_same_network_is_built_and_model_py_is_not_run(finished, tmp_path):
    best = shutil.copytree(finished / "run" / "best", tmp_path / "best")
    inputs = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    trusted = ft.load(best)
    said = predict(best, finished / "data.csv")
    (best / "model.py").write_text("raise SystemExit('it ran')")
    with torch.no_grad():
        assert torch.equal(ft.load(best, code=False)(inputs), trusted(inputs))
    assert predict(best, finished / "data.csv", code=False) == said
    assert to_pt2(best, tmp_path / "m.pt2", code=False).difference < 1e-4
    command = ["predict", str(best), str(finished / "data.csv"), "--no-code", "--json"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)[0]["label"] == said[0].label


def test_without_code_a_space_of_a_file_is_refused(evil, finished, tmp_path):
    best = shutil.copytree(finished / "run" / "best", tmp_path / "best")
    saved = json.loads((best / "config.json").read_text())
    del saved["sha256"]
    for spec in forms(evil):
        space = {"name": spec, "settings": {}}
        (best / "config.json").write_text(json.dumps({**saved, "space": space}))
        with pytest.raises(RunError, match="without running its model"):
            ft.load(best, code=False)
    assert not ran(evil)


@pytest.mark.parametrize("command", ["predict", "export", "report"])
def test_help_says_what_is_run(command):
    text = " ".join(CliRunner().invoke(app, [command, "--help"]).output.split())
    assert "runs as Python code" in text or "Nothing in the folder is run" in text


# -- what was changed since it was written ---------------------------------------------------------


def flipped(path, at=-5):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["model.safetensors", "model.py"])
@pytest.mark.parametrize("use", ["load", "predict", "load without code"])
def test_a_changed_file_of_best_is_named(name, use, finished, tmp_path):
    best = shutil.copytree(finished / "run" / "best", tmp_path / "best")
    flipped(best / name)
    uses = {
        "load": lambda: ft.load(best),
        "predict": lambda: predict(best, finished / "data.csv"),
        "load without code": lambda: ft.load(best, code=False),
    }
    if (name, use) == ("model.py", "load without code"):
        uses[use]()  # asks nothing of it
        return
    with pytest.raises(RunError, match=f"{name} is not the file that was written"):
        uses[use]()


def changed(best):
    """Another mean of the inputs in config.json, by which predictions would be wrong."""
    saved = json.loads((best / "config.json").read_text())
    saved["input"]["mean"][0] += 1.0
    (best / "config.json").write_text(json.dumps(saved))


@pytest.mark.parametrize("code", [True, False])
def test_a_changed_figure_of_config_json_is_named(code, finished, tmp_path):
    best = shutil.copytree(finished / "run" / "best", tmp_path / "best")
    config = best / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text())))  # in one line: as good
    said = predict(best, finished / "data.csv", code=code)
    changed(best)
    for use in (lambda: ft.load(best, code=code), lambda: predict(best, finished / "data.csv")):
        with pytest.raises(RunError, match=r"config\.json is not the file that was written"):
            use()
    saved = json.loads(config.read_text())
    del saved["sha256"]["config.json"]  # as older ones, and by who has changed it
    config.write_text(json.dumps(saved))
    assert len(predict(best, finished / "data.csv", code=code)) == len(said)


def test_a_changed_best_is_written_anew_by_the_same_command(finished, tmp_path):
    before = {f.name: f.read_bytes() for f in (finished / "run" / "best").iterdir()}
    for name in ("model.safetensors", "model.py", "config.json"):
        run = shutil.copytree(finished / "run", tmp_path / name)
        changed(run / "best") if name == "config.json" else flipped(run / "best" / name)
        settings = {"n_train": 3, "top_k": 1, "epochs": 1, "workers": 0, "predictor": "mean"}
        ft.NAS("tabular", out=run, compare_random=False, **settings).fit(finished / "data.csv")
        assert {f.name: f.read_bytes() for f in (run / "best").iterdir()} == before
