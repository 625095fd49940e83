from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from torch import nn

import foretell as ft
from foretell import strategies
from foretell._rng import derive
from foretell.errors import RunError
from foretell.evaluators.workers import Workers
from foretell.frame import Frame
from foretell.nets.counts import measure
from foretell.runs import journal, ranks
from foretell.runs.driver import Driver
from foretell.runs.finish import finish
from foretell.runs.folder import RunFolder
from foretell.runs.journal import Journal
from foretell.runs.plan import Plan
from foretell.search.asktell import Search
from foretell.search.history import History
from foretell.search.strategy import Strategy
from foretell.spaces.base import Space, choice
from foretell.training.data import load
from foretell.winner import best
from foretell.winner.load import config_of, core


def plan_with(predictor, **more):
    strategy = strategies.get("neural-predictor", n_train=8, predictor=predictor, **more)
    return Plan(strategy, 0, 8, 12)


PLAN = plan_with(Ridge())  # quick


@pytest.fixture(scope="module")
def digits():
    return load("digits")


@pytest.fixture
def space(small, digits):
    return small.with_io(digits.input_shape, digits.n_outputs)


@dataclass
class Outcome:
    driver: Driver
    final: dict
    ranking: Frame
    told: list

    @property
    def metrics(self):
        return {
            t.id: (t.arch, t.phase, t.seed, t.result.metrics) for t in self.driver.trials.values()
        }


@pytest.fixture
def run(tmp_path, quick, space, digits):
    """Carries a plan out in a folder; dies `stop_after` some events, or at one with a text."""

    def go(
        plan=PLAN, folder="run", stop_after=None, stop_at="never", workers=0, executor=None, **more
    ):
        told = []

        def on_event(progress):
            told.append(progress)
            if stop_at in str(progress) or (stop_after is not None and len(told) > stop_after):
                raise KeyboardInterrupt

        where = RunFolder(tmp_path / folder)
        evaluator = quick(space, **more)
        with where.lock():
            where.settle({"seed": plan.seed})
            with (
                Journal(where.journal) as log,
                Workers(evaluator, workers=workers, executor=executor) as pool,
            ):
                driver = Driver(where, log, plan, evaluator, pool, 1, on_event)
                driver.search()
                final = finish(driver, digits, {})
                ranking = driver.write_tables()
                driver.close()
                driver.clean_up()
        return Outcome(driver, final, ranking, told)

    return go


def events(folder, kind):
    return [event for event in journal.read(folder / "trials.jsonl") if event["event"] == kind]


def without_time(folder):
    return [
        {k: v for k, v in event.items() if k not in ("seconds", "ended_s", "fit_s", "predict_s")}
        for event in journal.read(folder / "trials.jsonl")
        if event["event"] != "session"
    ]


# -- what a run computes --------------------------------------------------------------------------


def test_the_journal_tells_the_whole_run(run, tmp_path, space):
    out = run(replace(plan_with("rf"), compare_random=True))
    folder = tmp_path / "run"
    asks = events(folder, "ask")
    assert [ask["phase"] for ask in asks] == ["sample", "top", "random"]
    assert [len(ask["ids"]) for ask in asks][:2] == [8, 4]
    assert [i for ask in asks for i in ask["ids"]] == list(range(len(out.driver.trials)))
    trials = events(folder, "trial")
    assert sorted(event["id"] for event in trials) == list(range(len(out.driver.trials)))
    for event in trials:
        (row,) = space.from_str([event["arch"]])
        assert row.tolist() == event["x"]
        assert event["seed"] == derive(0, "trial", int(space.row_key(row[None])[0]), 0)
        assert event["status"] == "ok"
        measured = measure(lambda row=row: space.build(row, (1, 8, 8), 10), (1, 8, 8))
        assert (event["params"], event["flops"]) == measured
    (rank,) = events(folder, "rank")
    assert rank["chosen"] == "rf"
    assert rank["predictor"] == "rf"
    assert set(rank["cv"]) == {"rf", "n-params", "mean"}
    assert rank["n_scored"] == space.size, "known ones are scored too, for the report"
    kinds = [event["event"] for event in journal.read(folder / "trials.jsonl")]
    assert kinds[:10] == ["ask", *["trial"] * 8, "rank"]
    assert kinds[-2:] == ["final", "session"]


def test_the_winner_is_the_best_in_validation_and_tested_with_its_own_weights(run, tmp_path):
    out = run()
    ok = out.driver.trials.values()
    winner = max(ok, key=lambda t: t.value)
    assert out.final.id == winner.id
    assert out.final.random is None
    assert out.final.metrics["val_acc"] == winner.value
    network = core(tmp_path / "run" / "best")
    evaluator = out.driver.evaluator
    assert evaluator.validate(network)["val_acc"] == pytest.approx(winner.value, abs=1e-6)
    assert evaluator._metrics(network, "test")["test_acc"] == pytest.approx(
        out.final.metrics["test_acc"], abs=1e-6
    )
    config = config_of(tmp_path / "run" / "best")
    assert config["trial"] == {"id": winner.id, "seed": winner.seed, "phase": winner.phase}


def test_ties_go_to_the_lower_loss(run, quick, monkeypatch):
    real = quick._metrics

    def saturated(self, network, name):
        metrics = real(self, network, name)
        return {**metrics, f"{name}_acc": min(metrics[f"{name}_acc"], 0.5)}

    monkeypatch.setattr(quick, "_metrics", saturated)
    out = run()
    tied = [t for t in out.driver.trials.values() if t.value == 0.5]
    assert len(tied) > 1
    losses = {t.id: t.result.metrics["val_loss"] for t in tied}
    assert out.final.id == min(losses, key=losses.get)


def test_test_data_is_read_once_for_each_reported_network(run, monkeypatch, quick):
    seen = []
    real = quick.test
    monkeypatch.setattr(
        quick, "test", lambda self, x, w: (seen.append(tuple(x)), real(self, x, w))[1]
    )
    out = run(replace(PLAN, compare_random=True))
    chosen = {out.final.id, out.final.random.id}
    assert sorted(seen) == sorted(tuple(out.driver.trials[i].x) for i in chosen)
    run(replace(PLAN, compare_random=True))
    assert len(seen) == len(chosen), "a finished run is not tested again"


def test_the_baseline_is_what_random_search_has_with_the_same_seed(run, space):
    out = run(replace(PLAN, compare_random=True))
    search = Search(space, "random", seed=0)
    archs = space.to_str(np.concatenate([search.ask(8), search.ask(4)]))
    value = {t.arch: t.value for t in out.driver.trials.values()}
    assert set(archs) <= set(value)
    winner = max(archs, key=value.__getitem__)
    assert out.driver.trials[out.final.random.id].arch == winner
    assert out.final.random.n == 12
    assert out.final.random.metrics["val_acc"] == value[winner]


def test_random_search_is_its_own_baseline(run):
    plan = Plan(strategies.get("random"), 3, 8, 12, compare_random=True)
    out = run(plan)
    assert len(out.driver.trials) == 12
    assert out.final.random.id == out.final.id
    assert {t.phase for t in out.driver.trials.values()} == {"sample"}
    assert np.isnan(out.ranking["predicted"]).all()
    measured = out.ranking["measured"]
    assert (np.diff(measured) <= 0).all()
    assert not (out.driver.folder.path / "predictions.csv").exists()


def test_rounds_follow_the_strategy(run, tmp_path):
    strategy = strategies.get("neural-predictor", n_train=6, predictor=Ridge(), batch=2)
    run(Plan(strategy, 0, 6, 11))
    assert [len(ask["ids"]) for ask in events(tmp_path / "run", "ask")] == [6, 2, 2, 1]
    assert len(events(tmp_path / "run", "rank")) == 3
    frame = ranks.read_predictions(RunFolder(tmp_path / "run"))
    assert frame["id"].tolist() == list(range(11))
    assert frame["phase"].tolist() == ["sample"] * 6 + ["top"] * 5


def test_predictions_are_made_before_the_measurement(run, tmp_path):
    """Out-of-fold ones do not know their target: shuffling what is measured cannot help them."""
    out = run()
    frame = ranks.read_predictions(RunFolder(tmp_path / "run"))
    assert frame["arch"].tolist() == [t.arch for t in out.driver.trials.values()]
    np.testing.assert_allclose(frame["measured"], [t.value for t in out.driver.trials.values()])
    ranking = {a: p for a, p, *_ in out.ranking.rows()}
    for arch, _, phase, predicted, _ in frame.rows():
        if phase == "top":
            assert predicted == ranking[arch]
    assert np.isfinite(frame["predicted"]).all()


def test_out_of_fold_predictions_have_not_seen_their_own_target(space):
    class Memory:
        """Knows what it has seen, and says 9 of everything else."""

        def get_params(self, deep=True):
            return {}

        def fit(self, X, y):
            self.known = {tuple(x): v for x, v in zip(X.tolist(), y, strict=True)}
            return self

        def predict(self, X):
            return np.array([self.known.get(tuple(x), 9.0) for x in X.tolist()])

    X = np.unique(space.sample(40, rng=0), axis=0)
    known = Search(space, "random").history.append(X, np.linspace(0, 1, len(X)))
    oof, taus = ranks.cross_validate(Memory(), space, known, 0)
    assert (oof == 9).all()
    assert len(taus) == 5
    shy = Memory()
    shy.predict = lambda X: np.where(X[:, 0] == X[0, 0], np.nan, X[:, -1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranks, "clone", lambda model: model)
        oof, taus = ranks.cross_validate(shy, space, known, 0)
    assert 0 < np.isnan(oof).sum() < len(oof), "says nothing of some rows, and ends no run by that"
    assert np.isfinite(taus).all()
    empty = ranks.cross_validate(Memory(), space, known[:3], 0)
    assert len(empty[0]) == len(empty[1]) == 0


@pytest.mark.parametrize("max_rows", [1000, 15])
def test_a_predictor_that_has_compared_candidates_is_believed(max_rows):
    """By its own out-of-fold predictions, of as many results as it has compared with."""
    space = ft.spaces.get("nb201")
    X = space.sample(20, rng=0)
    known = History.of(space, X, (X == 3).sum(axis=1) + 0.01 * np.arange(20))
    own = ft.predictors.get("auto", space=space, candidates=("gp",), max_rows=max_rows)
    strategy = ft.strategies.get("neural-predictor", n_train=20, predictor=own)
    proposal = strategy.propose(space, known, 3, np.random.default_rng(0))
    event, oof = ranks.scores(proposal, space, known, 0, strategy)
    assert np.isfinite(oof).sum() == min(max_rows, 20)
    assert {"auto", "gp", "n-params"} <= event.cv.keys()
    assert event.cv["auto"].mean > 0.0


def test_the_ranking_is_of_networks_that_were_not_known(run, space, tmp_path):
    out = run()
    sampled = {t.arch for t in out.driver.trials.values() if t.phase == "sample"}
    assert sampled.isdisjoint(out.ranking["arch"].tolist())
    assert len(out.ranking) == space.size - 8
    assert (np.diff(out.ranking["predicted"]) <= 0).all()
    assert out.ranking["rank"].tolist() == list(range(1, len(out.ranking) + 1))
    assert np.isfinite(out.ranking["measured"][:4]).all()
    assert np.isnan(out.ranking["measured"][4:]).all()
    counted = space.costs(space.from_str(out.ranking["arch"][:100].tolist()))
    np.testing.assert_array_equal(out.ranking["params"][:100], counted.params)


def test_costs_of_networks_that_cannot_be_built_are_missing_alone():
    class Picky(Space):
        width = choice([1, 2, 3])

        def build(self, x, input_shape, n_outputs):
            if self.decode(x)["width"] == 2:
                raise ZeroDivisionError
            return nn.Linear(3, self.decode(x)["width"])

    params, flops = ranks.costs(Picky(input_shape=(3,)), np.array([[0], [1], [2]]))
    np.testing.assert_array_equal(params, [4, np.nan, 12])
    np.testing.assert_array_equal(flops, [6, np.nan, 18])
    assert len(ranks.costs(Picky(), np.zeros((0, 1), dtype=np.int8))[0]) == 0


def test_a_read_back_network_of_another_quality_is_refused(run, quick, monkeypatch, tmp_path):
    real, seen = quick.validate, []

    def worse_when_read_back(self, network, split="val"):
        metrics = real(self, network, split)
        seen.append(network)
        return {**metrics, f"{split}_acc": metrics[f"{split}_acc"] - (0.1 if len(seen) == 2 else 0)}

    monkeypatch.setattr(quick, "validate", worse_when_read_back)
    with pytest.raises(RunError, match="read back has another val_acc"):
        run()
    assert not (tmp_path / "run" / "best").exists()
    assert not events(tmp_path / "run", "final")
    assert run().final.id >= 0, "the same command ends the run"


def test_another_device_may_round_otherwise(run, quick, monkeypatch):
    real = quick.validate

    def shifted(self, network, split="val"):
        return {key: value - 0.001 for key, value in real(self, network, split).items()}

    monkeypatch.setattr(quick, "validate", shifted)
    assert any("here, was" in str(progress) for progress in run().told)


# -- failures -------------------------------------------------------------------------------------


def test_a_failed_network_fails_alone(run, space, rows_of, tmp_path):
    rows = rows_of(Search(space, "random", seed=0).ask(8))
    out = run(fail=rows[:3])
    assert [i for i, t in out.driver.trials.items() if math.isnan(t.value)] == [0, 1, 2]
    bad = events(tmp_path / "run", "trial")[0]
    assert bad["status"] == "failed"
    assert "does not train" in bad["error"]
    assert out.told[-1].failed == 3
    assert out.final.id not in (0, 1, 2)
    again = run(fail=rows[:3])
    assert again.metrics == out.metrics


def test_nothing_that_trains_is_an_error_with_the_reason(run, space, rows_of):
    everything = rows_of(np.concatenate(list(space.enumerate())))
    with pytest.raises(RunError, match="does not train"):
        run(fail=everything)


def test_a_value_that_is_not_finite_is_a_failure(run, quick, monkeypatch):
    real = quick._metrics

    def nan_once(self, network, name):
        metrics = real(self, network, name)
        return {**metrics, "val_acc": math.nan} if metrics[f"{name}_acc"] < 0.3 else metrics

    monkeypatch.setattr(quick, "_metrics", nan_once)
    out = run()
    failed = [t for t in out.driver.trials.values() if math.isnan(t.value)]
    assert failed
    assert all("no finite val_acc" in t.result.error for t in failed)


def test_a_space_that_is_used_up_ends_the_search(run, space):
    plan = Plan(strategies.get("random"), 0, 200, 300, compare_random=True)
    out = run(plan)
    assert len(out.driver.trials) == space.size
    assert len(events(out.driver.folder.path, "ask")) == 1
    assert run(plan).final == out.final


# -- continuing -----------------------------------------------------------------------------------


@pytest.fixture
def unbroken(run, tmp_path):
    out = run(replace(PLAN, compare_random=True), folder="unbroken")
    return out, without_time(tmp_path / "unbroken")


@pytest.mark.parametrize("stop_after", [0, 1, 4, 8, 9, 10, 12, 14, 16])
def test_an_interrupted_run_ends_like_the_unbroken_one(stop_after, run, unbroken, tmp_path):
    whole, log = unbroken
    plan, trained = replace(PLAN, compare_random=True), tmp_path / "log"
    trained.mkdir()
    with pytest.raises(KeyboardInterrupt):
        run(plan, stop_after=stop_after, log=trained)
    with contextlib.suppress(KeyboardInterrupt):  # or it comes to its end now
        run(plan, stop_after=3 + stop_after // 2, log=trained)
    out = run(plan, log=trained)
    assert out.metrics == whole.metrics
    assert out.final == whole.final
    assert without_time(tmp_path / "run") == log
    names = [path.name.split("-")[0] for path in trained.iterdir()]
    again = len(names) - len(set(names))
    assert again == 0, "finished trials are not trained again"
    for name in ("ranking.csv", "predictions.csv", "best/model.py", "best/model.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "unbroken" / name).read_bytes()
    assert sorted(item.name for item in (tmp_path / "run").iterdir()) == [
        ".lock", "best", "predictions.csv", "ranking.csv", "run.json", "run.log",
        "trials.jsonl",
    ]  # fmt: skip


def test_a_journal_cut_anywhere_is_continued(run, unbroken, tmp_path):
    whole, _ = unbroken
    plan = replace(PLAN, compare_random=True)
    text = (tmp_path / "unbroken" / "trials.jsonl").read_bytes()
    for i, cut in enumerate(np.linspace(0, len(text) - 1, 6).astype(int)):
        folder = RunFolder(tmp_path / f"cut{i}")
        folder.settle({"seed": 0})
        folder.journal.write_bytes(text[:cut])
        out = run(plan, folder=f"cut{i}")
        assert out.metrics == whole.metrics
        assert out.final == whole.final


def test_a_finished_run_loads_at_once_and_says_so(run, tmp_path):
    first = run()
    (tmp_path / "log").mkdir()
    again = run(log=tmp_path / "log")
    assert not list((tmp_path / "log").iterdir())
    assert again.final == first.final
    assert any("has ended before" in str(progress) for progress in again.told)


@pytest.mark.parametrize("lost", ["best/model.safetensors", "best/config.json", "best"])
def test_a_lost_best_is_made_again_bit_for_bit(lost, run, tmp_path):
    import shutil

    first = run()
    folder = tmp_path / "run"
    before = {name: (folder / "best" / name).read_bytes() for name in best.FILES}
    path = folder / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    again = run()
    assert again.final == first.final
    assert {name: (folder / "best" / name).read_bytes() for name in best.FILES} == before


def test_a_lost_checkpoint_is_trained_again_with_the_same_seed(run, unbroken, tmp_path):
    whole, _ = unbroken
    plan = replace(PLAN, compare_random=True)
    with pytest.raises(KeyboardInterrupt):
        run(plan, stop_at="writes the best")
    for path in (tmp_path / "run" / "checkpoints").iterdir():
        path.unlink()
    assert run(plan).final == whole.final


def test_a_figure_of_the_journal_that_does_not_come_back_is_named(run, tmp_path):
    """Without its weights, the network that a changed figure has chosen was trained in silence."""
    with pytest.raises(KeyboardInterrupt):
        run(PLAN, stop_at="writes the best")
    for path in (tmp_path / "run" / "checkpoints").iterdir():
        path.unlink()
    journal_ = tmp_path / "run" / "trials.jsonl"
    lines = [json.loads(line) for line in journal_.read_text().splitlines()]
    for event in lines:
        if event["event"] == "trial":
            event["metrics"]["val_loss"] += 0.5
    journal_.write_text("".join(json.dumps(event) + "\n" for event in lines))
    run(PLAN)
    said = (tmp_path / "run" / "run.log").read_text()
    assert "again: its weights are lost" in said
    assert "in the journal, by which it was chosen" in said
    assert "val_loss of it is" in said
    assert "val_acc of it is" not in said


@pytest.mark.parametrize(("seed", "phase"), [(0, "sample"), (5, "top"), (3, "random")])
def test_no_kill_makes_a_run_train_what_the_journal_has(seed, phase, run, tmp_path):
    """Whatever round the best network is of, wherever the run is broken off."""
    plan = replace(PLAN, compare_random=True, seed=seed)
    log = tmp_path / "log"
    log.mkdir()
    whole = run(plan, folder="whole", log=log)
    assert max(whole.driver.trials.values(), key=lambda t: t.value).phase == phase
    n_trained, n = len(list(log.iterdir())), len(whole.told)
    for stop_after in {*range(10, n - 1, 4), n - 4, n - 3, n - 2}:
        for path in log.iterdir():
            path.unlink()
        with contextlib.suppress(KeyboardInterrupt):
            run(plan, folder=f"run{stop_after}", stop_after=stop_after, log=log)
        assert run(plan, folder=f"run{stop_after}", log=log).final == whole.final
        assert len(list(log.iterdir())) == n_trained, "each once"
        told = [event["seed"] for event in events(tmp_path / f"run{stop_after}", "trial")]
        assert len(told) == len(set(told)) == n_trained


def test_few_checkpoints_are_kept(run, tmp_path):
    counts = []
    for words in ("3/", "8/", "11/", "writes the best"):
        with pytest.raises(KeyboardInterrupt):
            run(replace(PLAN, compare_random=True), stop_at=words)
        counts.append(len(list((tmp_path / "run").glob("checkpoints/*"))))
    assert min(counts) >= 1
    assert max(counts) <= 3


def test_what_was_asked_before_is_believed(run, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(Plan(Moody(), 0, 6, 6), stop_after=4)
    asked = events(tmp_path / "run", "ask")[0]["archs"]
    out = run(Plan(Moody(1), 0, 6, 6))
    assert [trial.arch for trial in out.driver.trials.values()] == asked


@dataclass(frozen=True)
class Moody(Strategy):
    """Proposes other networks after a change of mind."""

    shift: int = 0

    def propose(self, space, history, n, rng):
        rng.random(self.shift)
        return space.sample(n, rng)


# -- where it runs does not matter ----------------------------------------------------------------


@pytest.mark.parametrize("where", ["threads", "one process", "two processes"])
def test_results_do_not_depend_on_the_workers(where, run, unbroken, tmp_path):
    whole, _ = unbroken
    plan = replace(PLAN, compare_random=True)
    if where == "threads":
        with ThreadPoolExecutor(1) as pool:
            out = run(plan, executor=pool)
    else:
        out = run(plan, workers=1 if where == "one process" else 2)
    assert out.metrics == whole.metrics
    assert out.final == whole.final
    weights = [tmp_path / name / "best" / "model.safetensors" for name in ("run", "unbroken")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_a_killed_worker_changes_nothing(run, unbroken, space, rows_of, tmp_path):
    whole, _ = unbroken
    (tmp_path / "marks").mkdir()
    rows = rows_of(Search(space, "random", seed=0).ask(8))
    out = run(
        replace(PLAN, compare_random=True),
        workers=2,
        kill=rows[1:4:2],
        kill_once=tmp_path / "marks",
    )
    assert len(list((tmp_path / "marks").iterdir())) == 2
    assert out.metrics == whole.metrics
    assert out.final == whole.final


def test_progress_counts_and_estimates(run):
    told = run(sleep_s=0.01).told
    assert [p.done for p in told] == sorted(p.done for p in told)
    assert told[-1].done == told[-1].total == 12
    first = next(p for p in told if p.done == 1)
    assert first.seconds_left == pytest.approx(11 * 0.01)
    assert first.objective == "val_acc"
    assert told[-1].best == max(p.best for p in told if p.best is not None)
    assert "12/12 networks · best val_acc" in str(told[-1])


SCRIPT = """
import importlib.util, pathlib, sys
spec = importlib.util.spec_from_file_location("run_helpers", sys.argv[1])
module = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = module
spec.loader.exec_module(module)
from sklearn.linear_model import Ridge
import foretell as ft
from foretell import strategies
from foretell.evaluators.workers import Workers
from foretell.runs.driver import Driver
from foretell.runs.plan import Plan
from foretell.runs.finish import finish
from foretell.runs.folder import RunFolder
from foretell.runs.journal import Journal
from foretell.training.data import load
space, out = module.Small(input_shape=(1, 8, 8), n_outputs=10), RunFolder(sys.argv[2])
evaluator = module.Quick(space, sleep_s=0.1, log=pathlib.Path(sys.argv[3]))
strategy = strategies.get("neural-predictor", n_train=8, predictor=Ridge())
with out.lock():
    out.settle({"seed": 0})
    with Journal(out.journal) as log, Workers(evaluator, workers=2) as workers:
        driver = Driver(out, log, Plan(strategy, 0, 8, 12, True), evaluator, workers, 2)
        driver.search()
        finish(driver, load("digits"), {})
        driver.write_tables()
        driver.clean_up()
"""


def test_kill_9_at_any_time_loses_no_finished_trial(unbroken, tmp_path):
    whole, _ = unbroken
    folder, trained = tmp_path / "killed", tmp_path / "trained"
    trained.mkdir()
    helpers = os.path.join(os.path.dirname(__file__), "conftest.py")
    command = [sys.executable, "-c", SCRIPT, helpers, str(folder), str(trained)]
    finished = 0
    for target in (1, 8, 11):
        process = subprocess.Popen(command)
        end = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < end:
            if (folder / "trials.jsonl").exists() and len(events(folder, "trial")) >= target:
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        now = len(events(folder, "trial"))
        assert now >= max(target, finished)
        finished = now
    assert subprocess.run(command).returncode == 0
    log = events(folder, "trial")
    assert [event["id"] for event in log] == list(dict.fromkeys(event["id"] for event in log))
    assert {e["id"]: e["metrics"] for e in log} == {i: m for i, (*_, m) in whole.metrics.items()}
    assert events(folder, "final")[-1] == whole.final.written()
    assert not (folder / "checkpoints").exists()
    # only what was in work when the driver died has been trained twice: 2 workers, 3 kills
    assert len(list(trained.iterdir())) <= len(log) + 2 * 3
    assert json.loads((folder / "run.json").read_text())["seed"] == 0
