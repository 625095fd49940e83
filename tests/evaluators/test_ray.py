"""Ray as an executor: first one that is started here, then a cluster of several nodes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import time
from concurrent.futures import CancelledError, Future, as_completed
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import ray
from ray.cluster_utils import Cluster

import foretell as ft
from foretell.errors import RunError, SettingError, UnknownNameError
from foretell.evaluators.base import Evaluator, Job, Result
from foretell.evaluators.executors import ray as ray_file
from foretell.evaluators.executors.ray import RayExecutor
from foretell.evaluators.workers import Workers
from foretell.runs import journal

ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import this file
pytestmark = [
    pytest.mark.slow,
    # of Ray itself, which leaves the pipes and logs of its processes to the collector
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def cluster():
    """A head that runs nothing, and one node of two CPUs; tests add and remove others."""
    made = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 0,
            "include_dashboard": False,
            "resources": {"disk": 3},
            "_system_config": {  # find out soon that a node is lost
                "health_check_initial_delay_ms": 0,
                "health_check_period_ms": 500,
                "health_check_failure_threshold": 3,
            },
        },
    )
    made.add_node(num_cpus=2)
    yield made
    made.shutdown()


@pytest.fixture
def executor(cluster):
    with RayExecutor(cluster.address, max_retries=1) as made:
        yield made


@dataclass
class Scripted(Evaluator):
    """What to do is said by the first decision of the row."""

    folder: Path
    objective = "val_acc"
    space = ft.Space.from_choices({"what": range(5), "id": range(100)}, build=print)

    def __getstate__(self):
        with contextlib.suppress(FileNotFoundError):  # on other machines
            (self.folder / f"pickled-{time.time_ns()}").touch()
        return self.__dict__

    def evaluate(self, x, seed=0):
        what, number = (int(v) for v in x)
        (self.folder / f"{number}-{time.time_ns()}").touch()
        if what == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if what == 2:
            np.ones(2_000_000_000, dtype=np.uint8)
        if what == 3:
            time.sleep(60)
        if what == 4:
            raise ZeroDivisionError("on purpose")
        return Result({"val_acc": float(number)}, seed=seed)


def jobs(*whats):
    return [Job(i, np.array([what, i]), seed=i) for i, what in enumerate(whats)]


def results(workers, todo):
    return {job.id: result for job, result in workers.run(todo)}


def test_a_ray_of_its_own_starts_and_ends_without_a_word(capfd):
    with RayExecutor() as executor:
        assert executor.submit(max, 3, 4).result(60) == 4
        assert executor.label.startswith("trials run on Ray: 1 node, ")
        gpus = ray.cluster_resources().get("GPU", 0)
        with pytest.raises(SettingError, match="'num_cpus': expected at most the"):
            ray_file._options({"num_cpus": 9999}, ray.cluster_resources(), local=True)
    assert not ray.is_initialized()
    with pytest.raises(RuntimeError, match="shutdown"):
        executor.submit(max, 3, 4)
    assert gpus or not executor.warnings
    assert capfd.readouterr() == ("", "")


def test_futures_are_those_of_concurrent_futures(executor):
    futures = [executor.submit(pow, i, 2, mod=7) for i in range(20)]
    assert all(isinstance(future, Future) for future in futures)
    assert sorted(future.result() for future in as_completed(futures, 60)) == sorted(
        i * i % 7 for i in range(20)
    )
    wrong = executor.submit(int, "x")
    assert isinstance(wrong.exception(60), ValueError)
    assert type(wrong.exception()) is ValueError, "as the call raised it"
    assert list(executor.map(abs, [-1, -2])) == [1, 2]
    assert not futures[0].cancel()


def test_a_cancelled_call_ends(executor, tmp_path):
    def slow(path, seconds):
        path.touch()
        time.sleep(seconds)
        return path.name

    running = [executor.submit(slow, tmp_path / str(i), 60) for i in range(2)]
    waiting = executor.submit(slow, tmp_path / "2", 60)
    end = time.monotonic() + 30
    while len(list(tmp_path.iterdir())) < 2:
        assert time.monotonic() < end
        time.sleep(0.02)
    for future in (waiting, *running):
        assert future.cancel()
    assert wait_for([waiting, *running], 1).not_done == set()
    with pytest.raises(CancelledError):
        running[0].result()
    assert executor.submit(slow, tmp_path / "3", 0).result(30) == "3", "there is room again"
    assert not (tmp_path / "2").exists()


def test_the_evaluator_is_sent_once(executor, tmp_path):
    with Workers(Scripted(tmp_path), executor=executor) as workers:
        done = results(workers, jobs(*[0] * 12))
        again = results(workers, jobs(4))
    assert {i: result.metrics["val_acc"] for i, result in done.items()} == dict(
        enumerate(range(12))
    )
    assert again[0].error == "ZeroDivisionError: on purpose"
    assert len(list(tmp_path.glob("pickled-*"))) == 1
    assert workers.places == [
        "trials run on Ray: 2 nodes, 2 CPUs, 0 GPUs; each takes num_cpus=1, up to 2 trials at once"
    ]


def test_time_memory_and_processes_of_one_trial(cluster, tmp_path):
    with (
        RayExecutor(cluster.address, max_retries=1) as executor,
        Workers(
            Scripted(tmp_path), executor=executor, timeout_s=30, memory_gb=0.5, max_retries=0
        ) as workers,
    ):
        assert workers._guard.kill_s == 36
        done = results(workers, jobs(0, 1, 0, 2, 0))
        workers._guard = replace(workers._guard, timeout_s=0.1, kill_s=0.5)
        late = results(workers, jobs(0, 3))
    assert [i for i, result in done.items() if result.ok] == [0, 2, 4]
    assert done[1].error.startswith("its worker died: WorkerCrashedError")
    assert len(list(tmp_path.glob("1-*"))) == 2 + 2, "once more by Ray, in each of the runs"
    assert done[3].error.startswith("out of memory")
    assert late[0].ok
    assert late[1].error.startswith("took longer than 0.1 s, or its worker died: WorkerCrashed")


@pytest.mark.parametrize(
    ("resources", "error", "match"),
    [
        ({"num_gpu": 1}, UnknownNameError, "did you mean 'num_gpus'"),
        ({"disks": 1}, UnknownNameError, "did you mean 'disk'"),
        ({"num_cpus": "two"}, SettingError, "resource 'num_cpus': expected 0 or more, got 'two'"),
        ({"num_cpus": -1}, SettingError, "num_cpus"),
    ],
)
def test_resources_that_do_not_exist_are_told_at_once(cluster, resources, error, match):
    with pytest.raises(error, match=match):
        RayExecutor(cluster.address, resources)
    assert not ray.is_initialized()


def test_resources_are_of_one_call(cluster):
    with RayExecutor(cluster.address, {"num_cpus": 0.5, "disk": 1}) as executor:
        assert executor.room == 3
    with RayExecutor(cluster.address, {"num_gpus": 0.5}) as executor:
        assert executor.warnings == [
            "the cluster has 0 of num_gpus, a trial needs 0.5: trials wait until it grows"
        ]
        assert executor.room == 1
    with RayExecutor(cluster.address, workers=64) as executor:
        assert executor.room == 64


def test_an_address_where_no_ray_answers_is_told_in_seconds(monkeypatch):
    monkeypatch.setattr(ray_file, "_REACH_S", 0.5)
    started = time.monotonic()
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        for address in ("127.0.0.1:1", f"127.0.0.1:{mute.getsockname()[1]}", "nowhere"):
            with pytest.raises(RunError, match=f"no Ray cluster at '{address}'.*Next"):
                RayExecutor(address)
    assert time.monotonic() - started < 5


def test_a_package_that_is_missing_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ft.errors.MissingExtraError, match=r"foretell\[ray\]"):
        RayExecutor()


@pytest.mark.parametrize("wrong", [{"max_retries": -1}, {"workers": 0}])
def test_wrong_numbers_are_refused(wrong):
    with pytest.raises(SettingError, match=next(iter(wrong))):
        RayExecutor(**wrong)


def test_a_node_is_lost_in_the_middle_and_nothing_else(cluster, tmp_path):
    """The run goes on without the node, and its folder goes on without Ray."""
    settings = {
        "space": "mobile",
        "space_settings": {"preset": "tiny"},
        "n_train": 6,
        "top_k": 2,
        "epochs": 2,
        "strategy": "random",
        "recipe": {"batch_size": 128},
    }
    whole = ft.NAS(**settings, out=tmp_path / "whole", workers=0).fit("digits")
    node = cluster.add_node(num_cpus=2)
    removed = []

    def on_event(progress):
        if progress.done == 1 and not removed:  # three are in work, and two fit the other node
            removed.append(progress.done)
            cluster.remove_node(node, allow_graceful=False)
        if progress.done == 6:
            raise KeyboardInterrupt

    out = tmp_path / "run"
    with (
        RayExecutor(cluster.address, max_retries=3) as executor,
        contextlib.suppress(KeyboardInterrupt),
    ):
        assert executor.room == 4
        ft.NAS(**settings, out=out, executor=executor).fit("digits", on_event=on_event)
    assert removed
    n = len([event for event in journal.read(out / "trials.jsonl") if event["event"] == "trial"])
    assert 6 <= n < 8
    nas = ft.NAS(**settings, out=out, workers=1).fit("digits")

    trials = [event for event in journal.read(out / "trials.jsonl") if event["event"] == "trial"]
    assert sorted(event["id"] for event in trials) == list(range(8)), "each once"
    assert {event["status"] for event in trials} == {"ok"}
    unbroken = journal.read(tmp_path / "whole" / "trials.jsonl")
    assert {event["id"]: event["metrics"] for event in trials} == {
        event["id"]: event["metrics"] for event in unbroken if event["event"] == "trial"
    }
    assert nas.best_metrics_ == whole.best_metrics_
    assert json.loads((out / "run.json").read_text())["seed"] == 0
