from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import cloudpickle
import numpy as np
import pytest

import foretell as ft
from foretell.errors import RunError, SettingError
from foretell.evaluators.base import Evaluator
from foretell.evaluators.executors import InProcess, Job, Workers, evaluate, threads_per_worker
from foretell.history import Result

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import this file


@dataclass
class Scripted(Evaluator):
    """What to do is said by the first decision of the row."""

    folder: Path
    objective = "val_acc"
    space = ft.Space.from_choices({"what": range(5), "id": range(100)}, build=print)

    def evaluate(self, x, seed=0, weights=None):
        what, number = (int(v) for v in x)
        (self.folder / f"{number}-{time.time_ns()}").write_text(str(os.getpid()))
        if what == 1:
            raise ZeroDivisionError("on\npurpose")
        if what == 2 or (what == 3 and len(list(self.folder.glob(f"{number}-*"))) == 1):
            time.sleep(0.2)  # let the neighbour begin
            os.kill(os.getpid(), signal.SIGKILL)
        if what == 4:
            time.sleep(0.4)
        return Result({"val_acc": float(number)}, seed=seed)


def jobs(*whats):
    return [Job(i, np.array([what, i]), seed=100 + i) for i, what in enumerate(whats)]


def results(workers, todo):
    return {job.id: result for job, result in workers.run(todo)}


def tries(folder):
    names = [path.name.split("-")[0] for path in folder.iterdir()]
    return {int(name): names.count(name) for name in names}


@pytest.mark.parametrize("kind", ["in process", "threads"])
def test_each_job_has_its_result(kind, tmp_path):
    with ThreadPoolExecutor(2) as pool:
        executor = pool if kind == "threads" else None
        with Workers(Scripted(tmp_path), workers=0, executor=executor) as workers:
            done = results(workers, jobs(0, 1, 0))
            assert done[0] == Result({"val_acc": 0.0}, seed=100)
            assert done[2].metrics == {"val_acc": 2.0}
            assert not done[1].ok
            assert done[1].error == "ZeroDivisionError: on purpose"
            assert done[1].seed == 101
            assert results(workers, []) == {}
        assert pool.submit(int).result() == 0, "an executor that was given stays open"


def test_dead_workers_take_no_other_trial_with_them(tmp_path):
    with Workers(Scripted(tmp_path), workers=2) as workers:
        # job 1 always kills its worker, 3 and 4 the first time; 2 and 5 are neighbours
        done = results(workers, jobs(0, 2, 4, 3, 3, 4, 0))
        n = tries(tmp_path)
        again = results(workers, jobs(0, 0, 0))
    assert sorted(done) == list(range(7))
    assert "died 2 times" in done[1].error
    assert "SIGKILL" in done[1].error
    assert [i for i in done if not done[i].ok] == [1]

    assert n[1] == 2
    assert n[3] == n[4] == 2
    assert all(result.ok for result in again.values())


def test_local_workers_are_other_processes_with_their_share_of_threads(tmp_path):
    with Workers(Scripted(tmp_path), workers=2) as workers:
        results(workers, jobs(4, 4))
        pids = {int(path.read_text()) for path in tmp_path.iterdir()}
        assert len(pids) == 2
        assert os.getpid() not in pids
        for pid in pids:
            environment = Path(f"/proc/{pid}/environ")
            if environment.exists():
                words = environment.read_bytes().split(b"\0")
                assert f"OMP_NUM_THREADS={threads_per_worker(2)}".encode() in words
    wait_until_gone(pids)


def wait_until_gone(pids, seconds=10.0):
    end = time.monotonic() + seconds
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < end, f"{pids} live on"
        time.sleep(0.05)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


DRIVER = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("driver_helpers", sys.argv[1])
module = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = module
spec.loader.exec_module(module)
from pathlib import Path
import numpy as np
workers = module.Workers(module.Scripted(Path(sys.argv[2])), workers=2)
todo = [module.Job(i, np.array([4, i]), 0) for i in range(100)]
for job, result in workers.run(todo):
    print(job.id, flush=True)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_driver(how, tmp_path):
    (tmp_path / "trials").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, __file__, str(tmp_path / "trials")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        for _ in range(2):
            process.stdout.readline()
        pids = {int(path.read_text() or 0) for path in (tmp_path / "trials").iterdir()} - {0}
        assert all(map(alive, pids))
        process.send_signal(how)
        process.wait(30)
        wait_until_gone(pids)
        process.stdout.close()
        errors = process.stderr.read()
    assert errors.count("Traceback") == (how == signal.SIGINT), "one, of the driver itself"


class Broken(Executor):
    """Every call ends with the same error."""

    def __init__(self, error):
        self.error = error

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        future.set_exception(self.error)
        return future


@pytest.mark.parametrize("error", [BrokenProcessPool("gone"), TypeError("cannot pickle")])
def test_an_executor_that_does_not_work_ends_the_run(error, tmp_path):
    with (
        Workers(Scripted(tmp_path), executor=Broken(error)) as workers,
        pytest.raises(RunError, match=str(error)),
    ):
        results(workers, jobs(0))


def test_an_evaluator_that_cannot_be_sent_is_told(tmp_path):
    evaluator = Scripted(tmp_path)
    evaluator.handle = threading.Lock()
    with (
        Workers(evaluator, workers=1) as workers,
        pytest.raises(RunError, match="pickle"),
    ):
        results(workers, jobs(0))


def test_wrong_numbers_are_refused(tmp_path):
    with pytest.raises(SettingError, match="workers"):
        Workers(Scripted(tmp_path), workers=-1)


def test_threads_are_shared_out():
    cores = threads_per_worker(1)
    assert cores >= 1
    assert threads_per_worker(cores) == threads_per_worker(10 * cores) == 1
    assert threads_per_worker(0) == cores


def test_in_process_keeps_errors_for_the_future():
    assert InProcess().submit(max, 1, 2).result() == 2
    assert isinstance(InProcess().submit(int, "x").exception(), ValueError)


def test_weights_are_asked_for_only_when_they_are_wanted(tmp_path):
    class Strict(Scripted):
        def evaluate(self, x, seed=0):
            return Result({"val_acc": 1.0}, seed=seed)

    assert evaluate(Strict(tmp_path), np.array([0, 0]), 3, None).ok
    assert "weights" in evaluate(Strict(tmp_path), np.array([0, 0]), 3, tmp_path / "w").error
