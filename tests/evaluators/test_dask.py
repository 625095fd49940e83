"""A real cluster of Dask, through the executor that it brings."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cloudpickle
import numpy as np
import pytest

import foretell as ft
from foretell.evaluators.base import Evaluator, Job, Result, pulse
from foretell.evaluators.trainer import Trainer
from foretell.evaluators.workers import Workers
from foretell.runs import journal
from foretell.training.data import load
from foretell.training.recipe import Recipe

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import this file
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of Dask's own: ports, unclosed sockets, its nannies
]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    import dask
    from distributed import Client, LocalCluster

    quiet = {
        "logging.distributed": "critical",
        "distributed.scheduler.allowed-failures": 0,
        "temporary-directory": str(tmp_path_factory.mktemp("dask")),
    }
    with (
        dask.config.set(quiet),
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as c,
        Client(c) as made,
    ):
        yield made


@dataclass
class Scripted(Evaluator):
    """1 kills its process, 2 takes long; the others tell where they ran."""

    folder: Path
    objective = "val_acc"
    space = ft.Space.from_choices({"what": range(3), "id": range(100)}, build=print)

    def evaluate(self, x, seed=0):
        (self.folder / f"{int(x[1])}-{time.time_ns()}").touch()
        if x[0] == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        end = time.monotonic() + (30 if x[0] == 2 else 0.1)
        while time.monotonic() < end:
            pulse()
            time.sleep(0.01)
        return Result({"val_acc": float(os.getpid())}, seed=seed)


def test_a_run_on_dask_is_that_of_this_process(client, tmp_path):
    settings = {"space": "mobile", "space_settings": {"preset": "tiny"}, "strategy": "random"}
    recipe = Recipe(epochs=1, batch_size=256)
    nas = ft.NAS(
        **settings,
        n_train=3,
        top_k=1,
        recipe=recipe,
        out=tmp_path,
        executor=client.get_executor(pure=False),
    ).fit("digits")
    trials = [e for e in journal.read(tmp_path / "trials.jsonl") if e["event"] == "trial"]
    assert sorted(e["id"] for e in trials) == [0, 1, 2, 3]
    assert nas.best_metrics_["val_acc"] == max(e["metrics"]["val_acc"] for e in trials)
    assert not (tmp_path / "checkpoints").exists()

    data = load("digits")
    space = ft.spaces.get("mobile", preset="tiny").with_io(data.input_shape, data.n_outputs)
    trial = trials[-1]
    here = Trainer(space, data, recipe).evaluate(np.array(trial["x"]), trial["seed"])
    assert here.metrics == trial["metrics"]


def test_a_trial_that_kills_its_workers_or_takes_too_long_fails_alone(client, tmp_path):
    todo = [Job(i, np.array([what, i]), i) for i, what in enumerate([0, 0, 1, 2, 0])]
    with (
        client.get_executor(pure=False) as executor,
        Workers(Scripted(tmp_path), executor=executor, timeout_s=1, max_retries=1) as workers,
    ):
        done = {job.id: result for job, result in workers.run(todo)}
    assert [i for i, result in sorted(done.items()) if not result.ok] == [2, 3]
    assert done[2].error.startswith("its worker died: ")
    assert done[3].error == "took longer than 1 s"
    assert len(list(tmp_path.glob("3-*"))) >= 2
    assert os.getpid() not in {result.metrics.get("val_acc") for result in done.values()}
