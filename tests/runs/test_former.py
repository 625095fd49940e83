"""What is not said anew stays as the folder of a run has it, whatever the defaults are by now."""

from __future__ import annotations

import csv
import json
import math
import shutil
import sys
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from typer.testing import CliRunner

import foretell as ft
from foretell import _catalog, cli
from foretell.errors import RunError
from foretell.runs import journal
from foretell.runs.assemble import Parts
from foretell.runs.record import changed
from foretell.runs.settings import OPTIONS, SAVED, Settings
from foretell.strategies.neural_predictor import NeuralPredictor
from foretell.strategies.random import Random
from foretell.training.data import load

FIRST = {"n_train", "top_k", "seed", "name", "workers", "predictor", "compare_random"}  # options
DATA = Path(__file__).parent / "data"
RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 3))
Y = (X[:, 0] * X[:, 1] > X[:, 2]).astype(int)


def nas(out, **changes):
    settings = {"space": "tabular", "workers": 0, "n_train": 4, "top_k": 2, "epochs": 1}
    return ft.NAS(**{**settings, "out": out, **changes})


def rewrite(out, change):
    """run.json with other words, as an older foretell may have written it."""
    record = json.loads((out / "run.json").read_text())
    change(record)
    (out / "run.json").write_text(json.dumps(record))


def search(model, networks=math.inf):
    """All of a run but its end, or so many networks of it."""

    def stop(*_):
        raise KeyboardInterrupt

    def look(_):
        if len(trained(model.out)) >= networks:
            stop()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("foretell.nas.finish", stop)
        with pytest.raises(KeyboardInterrupt):
            model.fit((X, Y), on_event=look)


def trained(out):
    events = journal.read(out / "trials.jsonl")
    return [(e["arch"], e["epochs"], e["metrics"]) for e in events if e["event"] == "trial"]


def notes(out):
    lines = (out / "run.log").read_text().splitlines()
    return [line.partition("is said: ")[2] for line in lines if "as in run.json" in line]


# -- as the folder has it -------------------------------------------------------------------------

THEN = {  # what a run may have had by default, and what is said at each call beside that
    "strategy": ({"strategy": "neural-predictor", "predictor": "mean"}, {"predictor": "mean"},
                 "strategy.name neural-predictor (of a new run: foresight)"),
    "of the strategy": ({"strategy_settings": {"explore": [0.0, 3.0]}}, {},
                        "strategy.explore [0.0, 3.0] (of a new run: [0.0, 1.0, 2.0])"),
    "epochs": ({"epochs": 2}, {"epochs": None}, "recipe.epochs 2 (of a new run: 10)"),
    "of the recipe": ({"recipe": {"warmup": 0.5, "lr": 0.05}}, {"recipe": {"lr": 0.05}},
                      "recipe.warmup 0.5 (of a new run: 0.15)"),
    "of halving": ({"halving": {"kind": "sync", "eta": 2}, "epochs": 2},
                   {"halving": "sync", "epochs": 2}, "halving.eta 2 (of a new run: 3)"),
    "objective": ({"metric": "f1"}, {"metric": None}, "objective val_f1 (of a new run: val_acc)"),
}  # fmt: skip


@pytest.mark.parametrize(("then", "now", "note"), THEN.values(), ids=THEN)
def test_a_run_goes_on_as_it_began_though_the_default_is_another_now(then, now, note, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "run"
    search(nas(whole, **then))
    search(nas(out, **then), networks=5)
    assert 5 <= len(trained(out)) < len(trained(whole))
    again = nas(out, **now)
    search(again)
    assert trained(out) == trained(whole), "the same networks, trained in the same way"
    assert notes(out) == [note]
    assert clone(again).get_params() == again.get_params()


def test_what_is_said_and_differs_is_refused_with_both_values(tmp_path):
    out = tmp_path / "run"
    nas(out, strategy="random", recipe={"warmup": 0.5}, halving={"kind": "asha", "eta": 2}).fit(
        (X, Y)
    )
    before = {path: path.read_bytes() for path in out.glob("*.json*")}
    rest = {"halving": "asha"}
    for said, words in (
        ({"strategy": "foresight"}, r'strategy\.name.*"random", got "foresight"'),
        ({"strategy": Random(repeats=True)}, r"strategy\.repeats.*false, got true"),
        ({"strategy_settings": {"repeats": True}}, r"strategy\.repeats.*false, got true"),
        ({"recipe": {"warmup": 0.15}}, r"recipe\.warmup.*0\.5, got 0\.15"),
        ({"recipe": ft.Recipe(epochs=1)}, r"recipe\.warmup.*0\.5, got 0\.15"),
        ({"halving": {"kind": "asha", "eta": 3}}, r"halving\.eta.*2, got 3"),
        ({"halving": "sync"}, r'halving\.kind.*"asha", got "sync"'),
        ({"metric": "f1"}, r'objective.*"val_acc", got "val_f1"'),
        ({"seed": 1}, r"seed.*0, got 1"),
    ):
        with pytest.raises(RunError, match=f"has another {words}"):
            nas(out, **{**rest, **said}).fit((X, Y))
    assert {path: path.read_bytes() for path in before} == before
    nas(out, **rest, metric="acc").fit((X, Y))  # which it has by default
    assert trained(out)


def test_where_it_runs_is_not_taken_from_the_folder(tmp_path):
    nas(tmp_path, strategy="random", recipe={"threads": 2, "device": "cpu"}).fit((X, Y))
    parts = Parts.of(nas(tmp_path), load((X, Y), seed=0))
    assert (parts.recipe.threads, parts.recipe.device) == (1, "auto")
    assert "recipe" not in parts.former.line


# -- every strategy of the catalog ----------------------------------------------------------------


@pytest.mark.parametrize("name", [row.name for row in _catalog.KINDS["strategy"]])
def test_any_setting_of_any_strategy_may_get_another_default(name, tmp_path):
    """run.json has other values than today's by default: they stay, and so does the name."""
    data = load((X, Y), seed=0)
    tmp_path.mkdir(exist_ok=True)
    record = Parts.of(nas(tmp_path, strategy=name), data).record().to_dict()
    mine = record["strategy"]
    assert mine["name"] == name
    mine |= {k: v + 1 for k, v in mine.items() if type(v) is int and k != "n_train"}
    mine |= {"repeats": True} if "repeats" in mine else {}
    (tmp_path / "run.json").write_text(json.dumps(record))
    for said in (None, name):
        parts = Parts.of(nas(tmp_path, strategy=said), data)
        assert changed(record, parts.record().to_dict()) == {}
        assert ("strategy.name" in parts.former.line) == (said is None and name != "foresight")
    with pytest.raises(RunError, match=r"another strategy\.repeats.*true, got false"):
        nas(tmp_path, strategy=name, strategy_settings={"repeats": False}).fit((X, Y))


def test_a_ranking_by_a_supernet_is_not_made_anew(tmp_path):
    data = load((X, Y), seed=0)
    record = Parts.of(nas(tmp_path, strategy="random"), data).record().to_dict()
    d = record["space"]["d"]
    record["strategy"] = {"name": "Ranked", "method": "darts", "rows": [[0] * d, [1] * d]}
    (tmp_path / "run.json").write_text(json.dumps(record))
    parts = Parts.of(nas(tmp_path), data)
    assert parts.plan.strategy.rows == ((0,) * d, (1,) * d)
    assert changed(record, parts.record().to_dict()) == {}
    assert not (tmp_path / "supernet").exists()


@dataclass(frozen=True)
class Mine(Random):
    """A strategy that the catalog does not have."""


@pytest.mark.parametrize(
    ("then", "words"),
    [
        ({"strategy": Mine()}, r'strategy\.name.*"Mine", got "foresight"'),
        (
            {"strategy": NeuralPredictor(n_train=4, predictor=DummyRegressor())},
            r'strategy\.predictor.*"DummyRegressor.*got "auto"',
        ),
    ],
)
def test_what_the_folder_cannot_make_again_is_asked_for(then, words, tmp_path):
    nas(tmp_path, **then).fit((X, Y))
    with pytest.raises(RunError, match=f"has another {words}"):
        nas(tmp_path).fit((X, Y))
    nas(tmp_path, **then).fit((X, Y))


def test_more_networks_scale_the_strategy_that_the_folder_has(tmp_path):
    nas(tmp_path, strategy="regularized-evolution", top_k=8).fit((X, Y))
    assert json.loads((tmp_path / "run.json").read_text())["strategy"]["population"] == 3
    nas(tmp_path, top_k=16).fit((X, Y))
    record = json.loads((tmp_path / "run.json").read_text())
    assert (record["strategy"]["name"], record["strategy"]["population"]) == (
        "regularized-evolution", 5,
    )  # fmt: skip
    assert len(trained(tmp_path)) == 20


# -- folders of older formats ---------------------------------------------------------------------


def measured_less(out):
    """A journal without the metrics that an older foretell did not have."""
    lines = []
    for line in (out / "trials.jsonl").read_text().splitlines():
        event = json.loads(line)
        for part in ("metrics", "curve"):
            for name in ("val_balanced_acc", "val_f1", "val_auroc"):
                event.get(part, {}).pop(name, None)
        lines.append(json.dumps(event) + "\n")
    (out / "trials.jsonl").write_text("".join(lines))


def test_a_winner_of_fewer_metrics_ends_the_run_with_all(tmp_path):
    search(nas(tmp_path, n_train=3, top_k=0))
    measured_less(tmp_path)
    before = trained(tmp_path)
    assert all(set(metrics) == {"val_acc", "val_loss"} for *_, metrics in before)
    found = nas(tmp_path, n_train=3, top_k=0).fit((X, Y)).best_metrics_
    assert trained(tmp_path) == before
    assert found["val_acc"] == max(metrics["val_acc"] for *_, metrics in before)
    assert {"val_balanced_acc", "val_f1", "test_balanced_acc", "test_f1"} <= set(found)
    assert 0 < found["val_balanced_acc"] < 1
    shutil.rmtree(tmp_path / "best")
    again = nas(tmp_path, n_train=3, top_k=0).fit((X, Y)).best_metrics_
    assert again == found


@pytest.mark.parametrize("form", [1, 2, 3])
def test_the_same_command_goes_on_with_a_folder_of_any_format(form, tmp_path, monkeypatch):
    """As written when `neural-predictor` was the default: report, predict and export as well."""
    monkeypatch.chdir(tmp_path)
    with open("data.csv", "w", newline="") as file:
        csv.writer(file).writerows([("a", "b", "c", "y"), *np.column_stack([X, Y]).tolist()])
    command = "run --data data.csv --space tabular --train 4 --top 2 --epochs 1 --workers 1"
    command += " --out run --predictor mean"

    def call(text):
        done = CliRunner().invoke(cli.app, text.split(), catch_exceptions=False)
        return done.exit_code, done.output

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("foretell.nas.finish", lambda *_: sys.exit(9))  # killed before its end
        assert call(f"{command} --strategy neural-predictor --budget trials=3")[0] == 9
    later = {"objective", "direction"} if form < 3 else set()
    later |= set(SAVED) - FIRST if form == 1 else set()

    def older(record):
        record["format"] = form
        for name in later:
            record.pop(name, None)
        for name in ("evidence", "warm", "repeats"):
            del record["strategy"][name]
        for name in ("balance", "sampler", "graph"):
            del record["recipe"][name]

    rewrite(Path("run"), older)
    measured_less(Path("run"))
    before = Path("run/trials.jsonl").read_bytes()
    assert call("report run")[0] == 0
    with pytest.raises(RunError, match=r'another strategy\.name.*"neural-predictor", got "fore'):
        call(f"{command} --strategy foresight")
    assert Path("run/trials.jsonl").read_bytes() == before
    assert call(command)[0] == 0
    assert notes(Path("run")) == ["strategy.name neural-predictor (of a new run: foresight)"]
    assert Path("run/trials.jsonl").read_bytes().startswith(before)
    assert len(trained(Path("run"))) == 6
    assert [e["phase"] for e in journal.read(Path("run/trials.jsonl")) if e["event"] == "trial"][
        4:
    ] == ["top"] * 2
    for after in ("report run", "predict run/best data.csv", "export run/best --pt2 m.pt2"):
        assert call(after)[0] == 0
    assert json.loads(Path("run/run.json").read_text())["format"] == 3


@pytest.mark.parametrize("name", ["format1", "format2/halving", "format2/interrupted"])
def test_stored_folders_are_those_of_the_options_that_made_them(name, tmp_path):
    """Real ones of those days: their own command says nothing that run.json does not have."""
    shutil.copytree(DATA / name, tmp_path / "run")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    typed = record["command"][2:]
    typed[typed.index("--out") + 1] = str(tmp_path / "run")
    done = CliRunner().invoke(cli.app, ["run", *typed, "--budget", "trials=1"])
    assert done.exit_code == 0, done.output


# -- the defaults that Python cannot tell from what is said ---------------------------------------


def test_options_that_may_not_change_keep_their_defaults_for_ever_or_have_none():
    """Folders compare with them. To change one, make it None and say in `new` what that means."""
    fixed = {"space": "mobile", "n_train": 24, "top_k": 5, "predictor": "auto", "seed": 0,
             "compare_random": False, "minimize": ()}  # fmt: skip
    found = {one.name: one.default for one in fields(Settings) if not OPTIONS[one.name].free}
    assert {name: value for name, value in found.items() if value is not None} == fixed
