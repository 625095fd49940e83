"""What a run may be asked beside its search: halving, budgets, a verdict, costs, trackers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from foretell import strategies
from foretell._rng import derive
from foretell.evaluators.workers import Workers
from foretell.frame import Frame
from foretell.runs import journal
from foretell.runs.budget import Budget
from foretell.runs.driver import Driver
from foretell.runs.events import HandMade
from foretell.runs.finish import finish
from foretell.runs.folder import RunFolder
from foretell.runs.halving import Halving
from foretell.runs.journal import Journal
from foretell.runs.plan import Plan
from foretell.trackers.base import Watcher
from foretell.training.data import load

EPOCHS = 9
PLAN = Plan(strategies.get("neural-predictor", n_train=9, predictor=Ridge()), 0, 9, 12)
HALVED = replace(PLAN, halving=Halving(eta=3))


@pytest.fixture(scope="module")
def digits():
    return load("digits")


@pytest.fixture
def space(small, digits):
    return small.with_io(digits.input_shape, digits.n_outputs)


@pytest.fixture
def run(tmp_path, quick, space, digits):
    """Carries a plan out in a folder, as `NAS` does; may die after some events."""

    def go(plan=PLAN, folder="run", stop_after=None, watchers=(), workers=0, **more):
        told = []

        def on_event(progress):
            told.append(str(progress))
            if stop_after is not None and len(told) > stop_after:
                raise KeyboardInterrupt

        where = RunFolder(tmp_path / folder)
        with where.lock(), Journal(where.journal) as log:
            where.settle({"seed": plan.seed})
            evaluator = quick(space, epochs=EPOCHS, **more)
            with Workers(evaluator, workers=workers) as pool:
                driver = Driver(
                    where, log, plan, evaluator, pool, on_event=on_event, watchers=list(watchers)
                )
                for one in watchers:
                    driver.tell(one, lambda w: w.begin({}, space, "val_acc", log.events))
                try:
                    driver.search()
                    final = finish(driver, digits, {})
                    driver.write_tables()
                finally:
                    driver.close()
                driver.clean_up()
        return driver, final, told

    return go


def events(folder, kind):
    return [event for event in journal.read(folder / "trials.jsonl") if event["event"] == kind]


def known(folder):
    """What was found, in the order of the networks."""
    trials = sorted(events(folder, "trial"), key=lambda event: event["id"])
    return [{k: v for k, v in event.items() if k not in ("seconds", "ended_s")} for event in trials]


# -- halving --------------------------------------------------------------------------------------


def test_bad_networks_are_stopped_and_the_winner_has_all_epochs(run, tmp_path):
    driver, final, _ = run(HALVED)
    trials = {event["id"]: event for event in events(tmp_path / "run", "trial")}
    first = [trials[i] for i in range(9)]
    assert sorted(event["epochs"] for event in first) == [1] * 6 + [3] * 2 + [9]
    assert all(event["stopped"] == (event["epochs"] < 9) for event in first)
    # every network grows evenly here, so the first epoch tells all
    best = max(first, key=lambda event: event["metrics"]["val_acc"] / event["epochs"])
    assert best["epochs"] == 9
    assert not driver.trials[final.id].stopped
    reached = {event["id"] for event in events(tmp_path / "run", "rung")}
    assert reached == set(range(12)), "all have been at the first rung"


@pytest.mark.parametrize("kind", ["sync", "asha"])
@pytest.mark.parametrize("stop_after", [2, 7, 13, 19, 24, 31])
def test_a_halved_run_that_was_interrupted_ends_alike(kind, stop_after, run, tmp_path):
    plan = replace(HALVED, halving=Halving(kind=kind))
    _, whole, told = run(plan, "whole")
    with pytest.raises(KeyboardInterrupt):
        run(plan, stop_after=min(stop_after, len(told) - 2))
    _, final, _ = run(plan)
    assert final == whole
    assert known(tmp_path / "run") == known(tmp_path / "whole")


def test_halving_does_not_depend_on_the_workers(run, tmp_path):
    _, one, _ = run(HALVED, "one")
    _, two, _ = run(HALVED, "two", workers=2)
    assert one == two
    assert known(tmp_path / "one") == known(tmp_path / "two")


def test_a_failed_network_does_not_stop_the_round(run, space, tmp_path):
    driver, _, _ = run(HALVED, "all")
    rows = [tuple(map(int, t.x)) for t in driver.searched[:5]]
    run(HALVED, fail=tuple(rows))
    trials = events(tmp_path / "run", "trial")
    assert sum(event["status"] == "failed" for event in trials) >= 5
    assert sum(event["epochs"] == 9 for event in trials if event["id"] < 9) == 1


# -- budgets --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "trained"), [({"trials": 5}, 5), ({"epochs": 45}, 5), ({"train_s": 0.35}, 4)]
)
def test_a_budget_ends_the_search_and_a_larger_one_goes_on(limits, trained, run, tmp_path):
    plan = replace(PLAN, budget=Budget(**limits))
    driver, final, told = run(plan)
    assert len(driver.searched) == trained
    assert any("the search ends here" in line for line in told)
    assert "budget" in driver.stopped_by
    assert len(events(tmp_path / "run", "stop")) == 1
    winner = max(driver.searched, key=lambda trial: trial.value)
    assert final.id == winner.id

    _again, same, told = run(plan)
    assert same == final
    assert any("nothing is trained" in line for line in told)
    assert len(events(tmp_path / "run", "trial")) == trained

    log = tmp_path / "log"
    log.mkdir()
    more, final, _ = run(replace(plan, budget=Budget()), log=log)
    assert len(more.searched) == 12
    ids = [event["id"] for event in events(tmp_path / "run", "trial")]
    assert len(ids) == len(set(ids)) == 12
    names = [path.name.split("-")[0] for path in log.iterdir()]
    assert len(set(names)) >= 12 - trained
    assert final.id == max(more.searched, key=lambda trial: trial.value).id


@pytest.mark.parametrize("kind", ["sync", "asha"])
def test_a_budget_of_networks_lets_those_that_have_begun_go_on(kind, run):
    plan = replace(HALVED, budget=Budget(trials=6), halving=Halving(kind=kind, eta=2))
    driver, _, _ = run(plan)
    assert len(driver.searched) == 6
    assert [t.epochs for t in driver.searched if not t.stopped] == [9]
    assert (
        sorted(t.epochs for t in driver.searched)
        == {
            "sync": [1, 1, 1, 2, 4, 9],  # 6, 3, 2, 1 and 1
            "asha": [1, 1, 1, 2, 2, 9],  # 6, 3, 1, and nobody is one in two: the best all the same
        }[kind]
    )


def test_the_wall_clock_ends_a_search_too(run):
    plan = replace(PLAN, budget=Budget(wall_s=0.15))
    driver, _, _ = run(plan, sleep_s=0.05)
    assert 1 <= len(driver.searched) <= 5


def test_a_budget_that_ends_before_any_network_is_whole_still_gives_one(run, tmp_path):
    plan = replace(HALVED, budget=Budget(epochs=7))
    driver, final, told = run(plan)
    assert [t.epochs for t in driver.ended if not t.stopped] == [9]
    assert driver.trials[final.id].epochs == 9
    assert any("to its last epoch" in line for line in told)


# -- the verdict ----------------------------------------------------------------------------------


def test_winner_and_hand_made_network_are_trained_again(run, space, tmp_path):
    driver, final, _ = run(replace(PLAN, replicates=3))
    verdict = final.verdict
    name, row = space.baseline()
    assert verdict.baseline == HandMade(name, space.to_str(row[None])[0])
    trials = {event["id"]: event for event in events(tmp_path / "run", "trial")}
    winner = driver.trials[final.id]
    for ids, x in ((verdict.winner, winner.x), (verdict.baseline_trials, row)):
        key = int(space.row_key(np.asarray(x)[None])[0])
        assert [trials[i]["x"] for i in ids] == [list(map(int, x))] * 3
        assert [trials[i]["seed"] for i in ids] == [derive(0, "trial", key, r) for r in (1, 2, 3)]
        assert [trials[i]["replicate"] for i in ids] == [1, 2, 3]
        assert all({"val_acc", "test_acc"} <= trials[i]["metrics"].keys() for i in ids)
    assert all(event["phase"] == "verdict" for i, event in trials.items() if i >= 12)
    searched = {event["id"] for event in trials.values() if "test_acc" in event["metrics"]}
    assert searched == {*verdict.winner, *verdict.baseline_trials}, "no test in the search"


@pytest.mark.parametrize("stop_after", [13, 16, 18])
def test_a_verdict_that_was_interrupted_goes_on(stop_after, run, tmp_path):
    plan = replace(PLAN, replicates=2)
    _, whole, _ = run(plan, "whole")
    with pytest.raises(KeyboardInterrupt):
        run(plan, stop_after=stop_after)
    _, final, _ = run(plan)
    assert final == whole
    assert known(tmp_path / "run") == known(tmp_path / "whole")
    driver, again, _ = run(plan)
    assert again == final
    results = [driver.trials[i].result for i in final.verdict.winner]
    assert all(result.ok for result in results), "of a run that has ended before, too"


def test_replicates_may_be_added_to_a_run_that_has_ended(run, tmp_path):
    _, first, _ = run()
    _, final, _ = run(replace(PLAN, replicates=2))
    assert (final.id, final.metrics) == (first.id, first.metrics)
    assert len(events(tmp_path / "run", "trial")) == 12 + 4


# -- costs ----------------------------------------------------------------------------------------


def test_the_front_is_what_nothing_beats(run, tmp_path):
    strategy = replace(PLAN.strategy, minimize=("params",))
    driver, final, _ = run(replace(PLAN, strategy=strategy, minimize=("params",)))
    points = {t.id: (t.value, t.params) for t in driver.searched}
    front = {
        i
        for i, (value, cost) in points.items()
        if not any(
            (v >= value and c <= cost) and (v > value or c < cost) for v, c in points.values()
        )
    }
    assert set(final.pareto) == front
    kinds = {"arch": str, "val_acc": float, "params": float}
    frame = Frame.read(tmp_path / "run" / "pareto.csv", kinds)
    assert frame["val_acc"].tolist() == sorted((points[i][0] for i in front), reverse=True)


# -- trackers -------------------------------------------------------------------------------------


@dataclass
class Ear(Watcher):
    """Remembers what it hears; may break."""

    breaks_at: str = ""
    heard: list = field(default_factory=list)

    def begin(self, settings, space, objective, events):
        self.heard += events

    def event(self, event):
        if event["event"] == self.breaks_at:
            raise ConnectionError("the tracker\nis away")
        self.heard.append(event)

    def _known(self, settings):
        return set()

    def _add(self, event):
        """Not asked: `event` hears all."""


def test_trackers_hear_all_and_may_break(run, tmp_path):
    good, bad = Ear(), Ear("trial")
    _, _, told = run(watchers=[bad, good])
    assert good.heard == journal.read(tmp_path / "run" / "trials.jsonl")
    assert [event["event"] for event in bad.heard] == ["ask"]
    assert sum("Ear no longer hears of this run: ConnectionError" in line for line in told) == 1


def test_a_tracker_of_a_continued_run_is_told_what_was(run, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(stop_after=5)
    ear = Ear()
    run(watchers=[ear])
    assert ear.heard == journal.read(tmp_path / "run" / "trials.jsonl")


# -- sessions -------------------------------------------------------------------------------------


def test_each_call_says_what_it_took(run, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(stop_after=5, sleep_s=0.02)
    run(sleep_s=0.02, workers=0)
    first, second = events(tmp_path / "run", "session")
    assert 0.02 <= first["phases"]["train_s"] <= first["wall_s"]
    assert second["phases"]["train_s"] >= 0.02 * 6
    assert {"ask_s", "train_s"} <= second["phases"].keys()
    log = (tmp_path / "run" / "run.log").read_text().splitlines()
    assert any("continues" in line for line in log)
