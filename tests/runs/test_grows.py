"""A run that has ended goes on with more networks."""

from __future__ import annotations

import json

import numpy as np
import pytest

import foretell as ft
from foretell.errors import RunError
from foretell.runs import journal

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 3))
Y = (X[:, 0] * X[:, 1] > X[:, 2]).astype(int)


def run(out, **changes):
    settings = {"space": "tabular", "workers": 0, "n_train": 4, "top_k": 2, "epochs": 1}
    settings |= {"predictor": "mean", "out": out, **changes}
    return ft.NAS(**settings).fit((X, Y))


def trials(out):
    return [event for event in journal.read(out / "trials.jsonl") if event["event"] == "trial"]


@pytest.mark.parametrize(
    ("more", "phases"),
    [
        ({"top_k": 5}, {"sample": 4, "top": 5}),
        ({"n_train": 9}, {"sample": 7, "top": 4}),
        ({"n_train": 6, "top_k": 3, "strategy": "random"}, {"sample": 9}),
        ({"n_train": 6, "strategy": "regularized-evolution"}, {"sample": 8}),
    ],
)
def test_more_networks_are_trained_and_none_again(more, phases, tmp_path):
    same = {k: v for k, v in more.items() if k == "strategy"}
    run(tmp_path / "run", **same)
    before = trials(tmp_path / "run")
    nas = run(tmp_path / "run", **more)
    after = trials(tmp_path / "run")
    assert after[: len(before)] == before
    assert len({event["id"] for event in after}) == len(after)
    assert len({event["arch"] for event in after}) == len(after)
    found = [event["phase"] for event in after]
    assert {phase: found.count(phase) for phase in set(found)} == phases
    best = max(event["metrics"]["val_acc"] for event in after)
    assert nas.best_metrics_["val_acc"] == pytest.approx(best, abs=1e-6)
    saved = json.loads((tmp_path / "run" / "run.json").read_text())
    assert {name: saved[name] for name in more if name != "strategy"} == {
        name: value for name, value in more.items() if name != "strategy"
    }
    lines = (tmp_path / "run" / "trials.jsonl").read_bytes()
    run(tmp_path / "run", **more)
    assert len(trials(tmp_path / "run")) == len(after)
    assert (tmp_path / "run" / "trials.jsonl").read_bytes().startswith(lines)


@pytest.mark.parametrize(
    "other", [{"n_train": 3}, {"top_k": 1}, {"n_train": 9, "top_k": 1}, {"top_k": 5, "seed": 1},
              {"top_k": 5, "epochs": 2}]
)  # fmt: skip
def test_all_else_is_refused_and_nothing_is_changed(other, tmp_path):
    run(tmp_path / "run")
    before = {path: path.read_bytes() for path in (tmp_path / "run").glob("*.json*")}
    with pytest.raises(RunError, match="has another"):
        run(tmp_path / "run", **other)
    assert {path: path.read_bytes() for path in before} == before


def test_a_setting_of_the_recipe_that_came_later_keeps_no_run_from_going_on(tmp_path):
    run(tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    saved = json.loads(path.read_text())
    del saved["recipe"]["sampler"]
    path.write_text(json.dumps(saved))
    before = trials(tmp_path / "run")
    run(tmp_path / "run")
    assert trials(tmp_path / "run") == before
    with pytest.raises(RunError, match=r"has another recipe\.sampler"):
        run(tmp_path / "run", recipe={"sampler": "balanced"})
