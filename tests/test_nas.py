from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from torch import nn

import foretell as ft
from foretell.errors import DataError, ForetellError, RunError, SettingError, UnknownNameError
from foretell.spaces.parts.load import load as load_space
from foretell.testing._globals import global_states
from foretell.winner.predict import predict

SPACE = """
import foretell as ft
from torch import nn


class Own(ft.Space):
    width = ft.choice([4, 8, 16, 32])
    act = ft.choice(["relu", "tanh"])
    bias = ft.choice([True, False])

    def build(self, x, input_shape, n_outputs):
        a = self.decode(x)
        size = 1
        for n in input_shape:
            size *= n
        act = {"relu": nn.ReLU, "tanh": nn.Tanh}[a["act"]]
        return nn.Sequential(
            nn.Flatten(), nn.Linear(size, a["width"], bias=a["bias"]), act(),
            nn.Linear(a["width"], n_outputs),
        )
"""


@pytest.fixture
def spec(tmp_path):
    (tmp_path / "own_space.py").write_text(SPACE)
    return f"{tmp_path / 'own_space.py'}:Own"


@pytest.fixture
def small(spec, tmp_path):
    """Settings of a run that takes a second or two."""
    return {
        "space": spec,
        "n_train": 5,
        "top_k": 2,
        "epochs": 2,
        "workers": 0,
        "predictor": "rf",
        "out": tmp_path / "run",
    }


def arrays(n=200):
    bunch = load_digits()
    return bunch.images[:n, None] / 16, bunch.target[:n]


def test_it_is_a_scikit_learn_estimator_until_it_is_fitted():
    nas = ft.NAS(space="nb201", n_train=7, recipe={"lr": 0.1})
    params = nas.get_params()
    assert params["n_train"] == 7
    assert clone(nas).get_params() == params
    assert nas.set_params(top_k=3).top_k == 3
    assert "n_train=7" in repr(nas)
    assert not [name for name in vars(nas) if name.endswith("_")]


def test_arrays_in_a_trained_network_out(small, tmp_path):
    X, y = arrays()
    told = []
    nas = ft.NAS(**small, compare_random=True)
    assert nas.fit((X, y), on_event=told.append) is nas
    assert isinstance(nas.best_model_, nn.Module)
    assert not nas.best_model_.training
    assert nas.folder_ == tmp_path / "run"
    assert nas.report_.read_text().startswith("<!")
    metrics = ("acc", "loss", "balanced_acc", "f1", "auroc")
    assert set(nas.best_metrics_) == {f"{s}_{m}" for s in ("val", "test") for m in metrics}
    assert nas.best_metrics_["val_acc"] == pytest.approx(nas.history_.y.max())
    assert told[-1].done == len(nas.history_)
    frame = nas.ranking_
    assert len(frame.head()) == 5
    assert frame.columns == ("arch", "predicted", "std", "measured", "params", "flops", "rank")
    (folder,) = [tmp_path / "run" / "best"]
    twin = ft.load(folder)
    x = torch.zeros(2, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(twin(x), nas.best_model_(x))
    np.savez(tmp_path / "new.npz", x=X[:3])
    assert len(predict(folder, tmp_path / "new.npz")) == 3
    summary = json.loads(json.dumps(nas.summary_))
    assert summary["metrics"] == nas.best_metrics_
    assert summary["random"]["n"] == 7
    assert any("best of 7 random networks" in line for line in nas.summary_lines_)


def test_the_settings_of_a_run_are_written_down(small, tmp_path):
    own = {key: value for key, value in small.items() if key != "predictor"}
    page = ft.NAS(**own, name="numbers").fit(arrays()).report_.read_text()
    assert "The predictor gp committee scored 16 networks" in page
    settings = json.loads((tmp_path / "run" / "run.json").read_text())
    assert settings["name"] == settings["data"]["name"] == "numbers"
    assert settings["space"]["spec"] == small["space"]
    assert settings["space"]["size"] == 16
    assert settings["strategy"]["name"] == "foresight"
    assert settings["strategy"]["n_train"] == settings["n_train"] == 5
    assert settings["recipe"]["epochs"] == 2
    assert settings["data"]["digest"]
    assert set(settings["versions"]) >= {"python", "torch", "numpy"}


def test_the_same_call_continues_and_a_changed_one_is_refused(small, tmp_path):
    first = ft.NAS(**small).fit(arrays())
    told = []
    again = ft.NAS(**{**small, "workers": 1}).fit(arrays(), on_event=lambda p: told.append(str(p)))
    assert again.best_metrics_ == first.best_metrics_
    assert any("has ended before" in line for line in told)
    for change, word in (
        ({"seed": 1}, "seed"),
        ({"epochs": 3}, "recipe.epochs"),
        ({"top_k": 1}, "top_k"),  # fewer; more would go on
        ({"recipe": {"lr": 0.01}}, "recipe.lr"),
        ({"space": "mobile"}, "space.name"),
    ):
        with pytest.raises(RunError, match=word):
            ft.NAS(**{**small, **change}).fit(arrays())
    with pytest.raises(RunError, match=r"data\."):
        ft.NAS(**small).fit(arrays(199))


@pytest.mark.parametrize("strategy", ["random", "regularized-evolution"])
def test_strategies_without_a_predictor_run_too(strategy, small):
    nas = ft.NAS(**{**small, "strategy": strategy}).fit(arrays())
    assert len(nas.history_) == 7
    assert np.isfinite(nas.ranking_["measured"]).all()
    assert nas.summary_["predictor"] is None


def test_values_of_a_table_are_predicted_too(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    y = 3 * X[:, 0] - X[:, 1] * X[:, 2]
    nas = ft.NAS(
        space="tabular", n_train=4, top_k=1, epochs=3, workers=0, predictor="mean",
        out=tmp_path / "run",
    ).fit((X, y))  # fmt: skip
    assert {"val_r2", "test_r2"} <= set(nas.best_metrics_)
    np.savez(tmp_path / "new.npz", x=X[:50])
    values = [row.values[0] for row in predict(tmp_path / "run", tmp_path / "new.npz")]
    assert np.corrcoef(values, y[:50])[0, 1] > 0.3


def test_the_default_folder_is_named_after_the_run(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nas = ft.NAS(**{**small, "out": None, "name": "my data"}).fit(arrays())
    assert str(nas.folder_) == "runs/my-data-Own-seed0"


def test_global_random_state_is_left_alone(small):
    before = global_states()
    ft.NAS(**small).fit(arrays())
    assert global_states() == before


def test_limits_costs_and_a_verdict_in_one_run_and_again_when_it_is_over(small, tmp_path):
    asked = {
        **small,
        "limits": "params=1k,latency_ms=1000",
        "minimize": ("params", "latency_ms"),
        "latency": {"repeats": 5, "warmup": 1},
        "replicates": 2,
        "budget": "trials=6",
    }
    first = ft.NAS(**asked).fit(arrays())
    space = load_space(small["space"]).with_io((1, 8, 8), 10)
    rows = np.concatenate([first.history_.X, space.from_str(first.ranking_["arch"])])
    assert (space.costs(rows).params <= 1000).all()
    assert (space.costs(space.sample(50, rng=0)).params > 1000).any()
    assert (first.pareto_["params"] > 0).all()
    assert (first.pareto_["latency_ms"] > 0).all()
    summary = first.summary_
    assert summary["stopped_by"]
    assert len(summary["verdict"]["winner"]) == 2
    assert summary["latency"].startswith("latency of ")
    assert json.loads(json.dumps(summary)) == summary
    journal = (tmp_path / "run" / "trials.jsonl").read_text().splitlines()
    again = ft.NAS(**asked).fit(arrays())
    assert again.summary_ == summary
    added = (tmp_path / "run" / "trials.jsonl").read_text().splitlines()[len(journal) :]
    assert {json.loads(line)["event"] for line in added} <= {"session"}, "nothing measured twice"


def test_a_small_budget_still_evolves(small):
    nas = ft.NAS(**{**small, "strategy": "regularized-evolution", "n_train": 8, "top_k": 4})
    nas.fit(arrays())
    written = json.loads((small["out"] / "run.json").read_text())["strategy"]
    assert written["population"] == 3
    given = nas.set_params(strategy_settings={"population": 5}, out=small["out"].parent / "other")
    given.fit(arrays())
    written = json.loads((given.folder_ / "run.json").read_text())["strategy"]
    assert (written["population"], written["sample_size"]) == (5, 3)


@pytest.mark.parametrize(
    ("change", "error", "word"),
    [
        ({"n_train": 0}, SettingError, "n_train"),
        ({"limits": {"params": -1}}, SettingError, "params"),
        ({"limits": {"parms": 1e6}}, SettingError, "params"),
        ({"minimize": ("speed",)}, SettingError, "speed"),
        ({"minimize": ("params", "params")}, SettingError, "different"),
        ({"latency": {"repeats": 5}}, SettingError, "latency_ms"),
        ({"budget": "trials"}, SettingError, "budget"),
        ({"budget": "apples=3"}, SettingError, "apples"),
        ({"halving": "hyperband"}, SettingError, "halving"),
        ({"replicates": -1}, SettingError, "replicates"),
        ({"backend": "slurm"}, SettingError, "backend"),
        ({"address": "auto"}, SettingError, "ray"),
        ({"log": ("cvs",)}, ForetellError, "csv"),
        ({"optuna": "nonsense://x"}, ForetellError, "nonsense"),
        ({"top_k": -1}, SettingError, "top_k"),
        ({"top_k": 2.5}, SettingError, "top_k"),
        ({"workers": -2}, SettingError, "workers"),
        ({"seed": True}, SettingError, "seed"),
        ({"executor": 7}, SettingError, "executor"),
        ({"space": 7}, SettingError, "space"),
        ({"space": "nb200"}, UnknownNameError, "nb201"),
        ({"strategy": "neural-predicter"}, UnknownNameError, "neural-predictor"),
        ({"strategy_settings": {"speed": 1}}, SettingError, "speed"),
        ({"predictor": "gnc"}, UnknownNameError, "gcn"),
        ({"recipe": {"epoch": 1}}, SettingError, "epochs"),
        ({"epochs": 0}, SettingError, "epochs"),
    ],
)
def test_wrong_settings_are_told_before_anything_is_made(change, error, word, small, tmp_path):
    with pytest.raises(error, match=word):
        ft.NAS(**{**small, **change}).fit(arrays())
    assert not (tmp_path / "run").exists()


def test_wrong_data_is_told_before_anything_is_made(small, tmp_path):
    with pytest.raises(DataError):
        ft.NAS(**small).fit(tmp_path / "nothing-here")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_results_are_the_same_with_local_workers(small, tmp_path):
    small["strategy"] = "neural-predictor"  # rounds: `foresight` asks when a worker is free
    one = ft.NAS(**small).fit(arrays())
    two = ft.NAS(**{**small, "workers": 2, "out": tmp_path / "other"}).fit(arrays())
    assert two.best_metrics_ == one.best_metrics_
    np.testing.assert_array_equal(two.history_.y, one.history_.y)
    np.testing.assert_array_equal(two.history_.X, one.history_.X)
    weights = [nas.folder_ / "best" / "model.safetensors" for nas in (one, two)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert not math.isnan(one.best_metrics_["test_acc"])


def test_the_default_asks_for_one_network_at_a_time_after_the_first(small):
    del small["predictor"]
    nas = ft.NAS(**{**small, "workers": 2, "top_k": 3}).fit(arrays())
    lines = (small["out"] / "trials.jsonl").read_text().splitlines()
    said = [json.loads(line) for line in lines]
    asks = [event for event in said if event["event"] == "ask"]
    assert [(event["phase"], len(event["ids"])) for event in asks] == [("sample", 5)] + [
        ("top", 1)
    ] * 3
    ranks = [event for event in said if event["event"] == "rank"]
    # one a number of results: two workers that end at once are asked for from the same ones
    assert {rank["chosen"] for rank in ranks} == {"gp committee"}
    known = [rank["n_known"] for rank in ranks]
    assert known == sorted(set(known))
    assert 1 <= len(known) <= 3
    assert set(ranks[-1]["cv"]) >= {"gp committee", "mean"}, "what others say, beside a baseline"
    assert 4 <= ranks[0]["n_known"] <= 5, "the last of the first need not be there"
    assert np.isfinite(nas.ranking_["predicted"]).all()
    assert "predicted against measured" in (nas.report_.read_text().lower())


def test_under_synchronous_halving_the_further_networks_come_in_one_round(small):
    del small["predictor"]
    ft.NAS(**{**small, "top_k": 3, "halving": {"kind": "sync", "eta": 2}}).fit(arrays())
    written = json.loads((small["out"] / "run.json").read_text())["strategy"]
    assert written["batch"] == 3


def test_a_search_that_asks_after_each_result_ranks_anew_when_a_tenth_more_are_known(tmp_path):
    """Each network was foretold all the same, before it was trained."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 3))
    out = tmp_path / "run"
    nas = ft.NAS(space="tabular", workers=0, n_train=21, top_k=6, epochs=1, out=out)
    nas.fit((X, (X[:, 0] > X[:, 1]).astype(int)))
    said = [json.loads(line) for line in (out / "trials.jsonl").read_text().splitlines()]
    assert [one["n_known"] for one in said if one["event"] == "rank"] == [21, 23, 25]
    rows = [line.split(",") for line in (out / "predictions.csv").read_text().splitlines()[1:]]
    foretold = [row for row in rows if row[-3] == "top"]
    assert len(foretold) == 6
    assert np.isfinite([float(row[-2]) for row in foretold]).all()
