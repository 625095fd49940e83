from __future__ import annotations

import math
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
import types
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path

import cloudpickle
import numpy as np
import pytest
import torch

import foretell as ft
from foretell.errors import RunError, SettingError
from foretell.evaluators.base import Evaluator, Job, Result, pulse
from foretell.evaluators.executors.here import InProcess
from foretell.evaluators.parts import guard, places
from foretell.evaluators.parts.guard import evaluate
from foretell.evaluators.parts.places import threads_per_worker
from foretell.evaluators.trainer import Trainer
from foretell.evaluators.workers import Workers
from foretell.training.data import load
from foretell.training.recipe import Recipe

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


def test_a_task_that_no_worker_can_read_says_what_it_lacks(tmp_path, monkeypatch):
    module = types.ModuleType("only_here")
    module.Own = type("Own", (Scripted,), {"__module__": "only_here"})
    monkeypatch.setitem(sys.modules, "only_here", module)
    with Workers(module.Own(tmp_path), workers=1) as workers:
        done = results(workers, jobs(0))
    assert "cannot read the task: ModuleNotFoundError: No module named 'only_here'" in done[0].error


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
import importlib.util, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
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
    assert "leaked" not in errors, "what is left is removed, and nothing to worry about"
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


def test_an_evaluator_is_asked_only_for_what_is_wanted(tmp_path):
    class Strict(Scripted):
        def evaluate(self, x, seed=0):
            return Result({"val_acc": 1.0}, seed=seed)

    x = np.array([0, 0])
    assert evaluate(Strict(tmp_path), Job(0, x, 3)).result.ok
    for name, value in (("weights", tmp_path / "w"), ("state", tmp_path / "s"), ("epochs", 2)):
        assert name in evaluate(Strict(tmp_path), Job(0, x, 3, **{name: value})).result.error


# -- one after another ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["in process", "processes", "threads", "unlimited"])
def test_jobs_are_pulled_when_there_is_room_and_decide_by_the_results(kind, tmp_path):
    seen, asked = [], []

    def source():
        todo = jobs(0, 0, 0, 0)
        for job in todo[:3]:
            asked.append((job.id, len(seen)))
            yield job
        while len(seen) < 3:
            yield None
        yield Job(9, np.array([0, int(sum(seen))]), seed=0)

    with ThreadPoolExecutor(2) as pool:
        if kind == "unlimited":
            pool = Unlimited(pool)
        workers = Workers(
            Scripted(tmp_path),
            workers=2 if kind == "processes" else 0,
            executor=pool if kind in ("threads", "unlimited") else None,
        )
        with workers:
            for _, result in workers.run(source()):
                seen.append(result.metrics["val_acc"])
    assert sorted(seen) == [0.0, 1.0, 2.0, 3.0]
    room = {"in process": 1, "processes": 2, "threads": 2, "unlimited": 3}[kind]
    assert all(i - n < room for i, n in asked), "never more in work than there is room"


@pytest.mark.parametrize(("ready", "begun"), [(None, 2), (lambda: True, 3), (lambda: False, 2)])
def test_a_job_that_is_known_waits_for_no_result_to_be_handed_over(ready, begun, tmp_path):
    asked = []

    def source():
        for job in jobs(4, 4, 0, 0):  # the first two are out together
            asked.append(job.id)
            yield job

    with ThreadPoolExecutor(2) as pool, Workers(Scripted(tmp_path), executor=pool) as workers:
        handed = workers.run(source(), ready)
        next(handed)
        free = threading.Barrier(2)  # both threads get there when both jobs have ended
        for waiting in [pool.submit(free.wait) for _ in range(2)]:
            waiting.result()
        next(handed)
        assert len(asked) == begun
        assert len(list(handed)) == 2


class Unlimited(Executor):
    """Does not say how much it does at once."""

    def __init__(self, pool):
        self.submit = pool.submit


def test_none_while_nothing_is_in_work_ends_the_run(tmp_path):
    with Workers(Scripted(tmp_path), workers=0) as workers:
        done = [job.id for job, _ in workers.run(iter([*jobs(0, 0), None, None, *jobs(0)]))]
    assert done == [0, 1]


def test_a_run_that_is_left_stops_its_trials(tmp_path):
    with Workers(Slow(tmp_path), workers=2) as workers:
        started = time.monotonic()
        for _ in workers.run(jobs(0, 4, 4)):
            break
        again = results(workers, jobs(0))
    assert again[0].ok
    assert time.monotonic() - started < 20, "nobody waits for the other two"


# -- time and memory ------------------------------------------------------------------------------


class Slow(Scripted):
    """0 is quick; 1 takes 30 s, and 2 the first time; 3 hangs where nobody asks; 4 sleeps long."""

    def evaluate(self, x, seed=0, weights=None):
        what, number = (int(v) for v in x)
        (self.folder / f"{number}-{time.time_ns()}").touch()
        first = len(list(self.folder.glob(f"{number}-*"))) == 1
        end = time.monotonic() + (30 if what == 1 or (what == 2 and first) else 0)
        while time.monotonic() < end:
            time.sleep(0.01)
            pulse()
        if what == 3:
            re.match(r"(a*)*b", "a" * 40)  # holds the interpreter for hours
        if what == 4:
            time.sleep(60)
        return Result({"val_acc": 1.0}, seed=seed)


class Doomed(Scripted):
    """0 is quick, and its process ends soon afterwards; 1 ends its process the first time."""

    def evaluate(self, x, seed=0, weights=None):
        what, number = (int(v) for v in x)
        (self.folder / f"{number}-{time.time_ns()}").touch()

        def end(after_s):
            time.sleep(after_s)
            os.kill(os.getpid(), signal.SIGKILL)

        if what == 0:
            threading.Thread(target=end, args=(3.0,), daemon=True).start()
        elif len(list(self.folder.glob(f"{number}-*"))) == 1:
            end(0.5)
        else:
            time.sleep(3.5)
        return Result({"val_acc": 1.0}, seed=seed)


def test_a_trial_is_repeated_in_a_process_that_nothing_has_happened_to(tmp_path):
    """Whoever kills all workers at once costs the one trial that ran one of its tries."""
    with Workers(Doomed(tmp_path), workers=2) as workers:
        done = results(workers, jobs(0, 1))
    assert [done[i].error for i in range(2)] == ["", ""]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_trial_that_takes_too_long_is_repeated_and_fails_alone(workers, tmp_path):
    with Workers(Slow(tmp_path), workers=workers, timeout_s=0.3) as pool:
        done = results(pool, jobs(0, 1, 2, 0))
    assert [i for i, result in sorted(done.items()) if not result.ok] == [1]
    assert done[1].error == "took longer than 0.3 s"
    assert 0.6 < done[1].seconds < 5, "both attempts count"
    assert tries(tmp_path) == {0: 1, 1: 2, 2: 2, 3: 1}
    pulse()  # no deadline is left behind


def test_a_trial_that_hangs_in_compiled_code_is_ended_with_its_process(tmp_path):
    with Workers(Slow(tmp_path), workers=2, timeout_s=0.5, max_retries=0) as pool:
        assert pool._guard.kill_s == 5.5
        pool._guard = replace(pool._guard, kill_s=1.0)
        done = results(pool, jobs(3, 0, 0))
    assert done[0].error == "took longer than 0.5 s, and did not stop"
    assert done[1].ok
    assert done[2].ok


class Wide(ft.Space):
    """One hidden layer, of 8 or of 4 million units: 1 GB of weights, twice that with gradients."""

    width = ft.choice([8, 4_000_000])

    def build(self, x, input_shape, n_outputs):
        from torch import nn

        width = self.decode(x)["width"]
        size = math.prod(input_shape)
        return nn.Sequential(nn.Flatten(), nn.Linear(size, width), nn.Linear(width, n_outputs))


def test_a_trial_that_needs_too_much_memory_fails_alone(tmp_path):
    space = Wide()
    trainer = Trainer(space, load("digits"), Recipe(epochs=1, batch_size=256))
    todo = [Job(i, np.array([int(i == 1)]), seed=i) for i in range(4)]
    with Workers(trainer, workers=2, memory_gb=0.5) as workers:
        done = results(workers, todo)
    assert [i for i, result in sorted(done.items()) if not result.ok] == [1]
    assert done[1].error.startswith("out of memory")
    assert done[1].error.endswith("(a trial may take 0.5 GB)")


@dataclass
class Greedy(Scripted):
    """Fills as many 100 MB as the row says, and tells the limit that it finds afterwards."""

    def evaluate(self, x, seed=0, weights=None):
        np.ones((int(x[0]), 100_000_000), dtype=np.uint8)
        return Result({"val_acc": float(resource.getrlimit(resource.RLIMIT_DATA)[0])}, seed=seed)


def test_the_limit_on_memory_is_of_one_trial(tmp_path):
    now = resource.getrlimit(resource.RLIMIT_DATA)[0]
    todo = [Job(i, np.array([n, 0]), seed=0) for i, n in enumerate([1, 20, 2, 20, 2])]
    with Workers(Greedy(tmp_path), workers=1, memory_gb=0.5) as workers:
        done = results(workers, todo)
    assert [result.ok for _, result in sorted(done.items())] == [True, False, True, False, True]
    assert all("out of memory" in done[i].error for i in (1, 3))
    held = [done[i].metrics["val_acc"] for i in (0, 2, 4)]
    assert all(5e8 < limit < 3e9 for limit in held)
    assert max(held) - min(held) < 1e8, "limits do not add up"
    assert resource.getrlimit(resource.RLIMIT_DATA)[0] == now


def test_memory_that_cannot_be_limited_is_refused(tmp_path):
    with ThreadPoolExecutor(1) as pool:
        for arguments in ({"workers": 0}, {"executor": pool}):
            with pytest.raises(SettingError, match="memory_gb"):
                Workers(Greedy(tmp_path), memory_gb=1, **arguments)
        with (
            Workers(Greedy(tmp_path), executor=Unlimited(pool), memory_gb=1) as workers,
            pytest.raises(SettingError, match="share a process"),
        ):
            results(workers, [Job(0, np.array([1, 0]), 0)])


@pytest.mark.parametrize(
    "wrong", [{"max_retries": -1}, {"timeout_s": 0}, {"memory_gb": -1}, {"timeout_s": math.nan}]
)
def test_wrong_limits_are_refused(wrong, tmp_path):
    with pytest.raises(SettingError, match=next(iter(wrong))):
        Workers(Scripted(tmp_path), **wrong)


class Leaking(Scripted):
    """Keeps 30 MB of every trial."""

    def evaluate(self, x, seed=0, weights=None):
        held = sys.__dict__.setdefault("_held_by_trials", [])
        held.append(np.ones(30_000_000, dtype=np.uint8))
        (self.folder / f"{int(x[1])}-{os.getpid()}").touch()
        time.sleep(0.6)
        return Result({"val_acc": float(len(held))}, seed=seed)


def test_a_worker_whose_memory_grows_is_replaced_and_no_trial_is_lost(tmp_path, monkeypatch):
    monkeypatch.setenv("LOKY_MAX_MEMORY_LEAK_SIZE", "5e7")
    with Workers(Leaking(tmp_path), workers=1) as workers:
        done = results(workers, jobs(*[0] * 8))
    assert sorted(done) == list(range(8))
    assert all(result.ok for result in done.values())
    files = list(tmp_path.iterdir())
    assert len(files) == 8, "each once"
    assert 2 <= len({path.name.partition("-")[2] for path in files}) <= 4
    assert max(result.metrics["val_acc"] for result in done.values()) <= 5


# -- devices --------------------------------------------------------------------------------------


class Seeing(Scripted):
    """Tells in a file which device it sees."""

    device = "auto"

    def evaluate(self, x, seed=0, weights=None):
        what, number = (int(v) for v in x)
        seen = os.environ.get("CUDA_VISIBLE_DEVICES", "nothing set")
        (self.folder / f"{number}-{os.getpid()}").write_text(seen)
        if what == 2 and len(list(self.folder.glob(f"{number}-*"))) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.3)
        return Result({"val_acc": 1.0}, seed=seed)


def test_each_worker_has_its_device_and_so_has_its_successor(tmp_path):
    with Workers(Seeing(tmp_path), workers=3, devices=["4", "GPU-8a3f"]) as workers:
        done = results(workers, jobs(0, 2, 0, 0, 0, 0, 0))
    assert workers.places == [
        "worker 0 on cuda:0 (device 4)",
        "worker 1 on cuda:1 (device GPU-8a3f)",
        "worker 2 on cuda:0 (device 4)",
    ]
    assert workers.warnings == []
    assert all(result.ok for result in done.values())
    seen = {}
    for path in tmp_path.iterdir():
        seen.setdefault(path.name.partition("-")[2], set()).add(path.read_text())
    assert all(len(devices) == 1 for devices in seen.values()), "one device, once and for all"
    assert sorted(next(iter(devices)) for devices in seen.values())[:2] == ["4", "4"]
    assert {d for devices in seen.values() for d in devices} == {"4", "GPU-8a3f"}
    assert len(seen) == 4, "three workers, and one that came after the dead one"


@pytest.mark.parametrize("given", [None, "", "3,5"])
def test_without_devices_the_environment_stays_as_it_is(given, tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if given is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    with Workers(Seeing(tmp_path), workers=1, devices=[]) as workers:
        results(workers, jobs(0))
    assert workers.places == ["worker 0 on cpu, 1 thread"]
    assert [path.read_text() for path in tmp_path.iterdir()] == [
        "nothing set" if given is None else given
    ]


def test_devices_are_asked_for_only_by_what_trains_on_them(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "cuda_devices", lambda: ["0", "1", "2"])
    assert Workers(Seeing(tmp_path), workers=2).warnings == [
        "device 2 idles: 3 devices, 2 workers; use --workers 3"
    ]
    in_process = Workers(Seeing(tmp_path), workers=0)
    assert in_process.places == ["trials run in this process, on cuda:0"]
    assert "devices 1, 2 idle" in in_process.warnings[0]
    table = Workers(Scripted(tmp_path), workers=2)  # its device is the CPU
    assert table.places == ["worker 0 on cpu, 1 thread", "worker 1 on cpu, 1 thread"]
    assert table.warnings == []
    one = Seeing(tmp_path)
    one.device = "cuda:1"
    assert Workers(one, workers=1).places == ["worker 0 on cuda:1"]


# -- weights --------------------------------------------------------------------------------------


class Saving(Scripted):
    """Writes its weights, and tells what it was asked for."""

    def evaluate(self, x, seed=0, *, weights=None, state=None, epochs=None):
        weights.write_bytes(b"w" * int(x[1]))
        (self.folder / f"{int(x[1])}-asked").write_text(f"{weights}|{state}|{epochs}")
        return Result({"val_acc": 1.0}, seed=seed)


@pytest.mark.parametrize("shared", [True, False])
def test_weights_come_back_where_the_disk_is_not_shared(shared, tmp_path, monkeypatch):
    if not shared:  # as if the folder that the worker sees were another one
        monkeypatch.setattr(guard, "_shared", lambda folder, token: False)
    (tmp_path / "log").mkdir()
    folder = tmp_path / "checkpoints"
    todo = [
        Job(i, np.array([0, i]), 0, folder / f"{i}.w", folder / f"{i}.s", epochs=5) for i in (7, 9)
    ]
    held = {}
    with ThreadPoolExecutor(2) as pool, Workers(Saving(tmp_path / "log"), executor=pool) as workers:
        for job, result in workers.run(todo):
            assert result.ok
            held[job.id] = job.weights.read_bytes()
    assert held == {7: b"w" * 7, 9: b"w" * 9}
    assert sorted(path.name for path in folder.iterdir()) == ["7.w", "9.w"]
    weights, state, epochs = (tmp_path / "log" / "7-asked").read_text().split("|")
    assert epochs == "5"
    if shared:
        assert (weights, state) == (str(folder / "7.w"), str(folder / "7.s"))
    else:
        assert state == "None"
        assert not Path(weights).parent.exists()


def test_links_beside_the_weights_are_not_written_through(tmp_path, monkeypatch):
    monkeypatch.setattr(guard, "_shared", lambda folder, token: False)
    (tmp_path / "log").mkdir()
    folder, mine = tmp_path / "checkpoints", tmp_path / "thesis.txt"
    folder.mkdir()
    mine.write_text("precious")
    for name in (guard.TOKEN, "3.w", f"3.w.{os.getpid()}.part"):
        (folder / name).symlink_to(mine)
    job = Job(3, np.array([0, 3]), 0, folder / "3.w")
    with ThreadPoolExecutor(1) as pool, Workers(Saving(tmp_path / "log"), executor=pool) as workers:
        assert [result.ok for _, result in workers.run([job])] == [True]
    assert mine.read_text() == "precious"
    assert (folder / "3.w").read_bytes() == b"w" * 3


def test_another_folder_of_the_same_name_is_not_the_driver_s(tmp_path):
    (tmp_path / guard.TOKEN).write_text("mine")
    assert guard._shared(tmp_path, "mine")
    assert not guard._shared(tmp_path, "yours")
    assert not guard._shared(tmp_path / "absent", "mine")


def test_weights_that_cannot_be_written_end_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(guard, "_shared", lambda folder, token: False)
    (tmp_path / "0.w").mkdir()  # a file cannot replace it
    with (
        ThreadPoolExecutor(1) as pool,
        Workers(Saving(tmp_path), executor=pool) as workers,
        pytest.raises(RunError, match="cannot write the weights"),
    ):
        results(workers, [Job(0, np.array([0, 0]), 0, tmp_path / "0.w")])
    assert not list(tmp_path.glob("*.part"))


# -- processes that do not end --------------------------------------------------------------------


@pytest.fixture
def bare(monkeypatch):
    """As in an image without procps, and without psutil: nothing tells loky of children."""
    import loky.backend.utils

    monkeypatch.setattr(loky.backend.utils, "psutil", None)
    monkeypatch.setattr(subprocess, "check_output", lambda *_, **__: 1 / 0)


class Stuck(Scripted):
    """0 gives its process; 1 has a child and sleeps; 2 stops its process."""

    def evaluate(self, x, seed=0, weights=None):
        what, number = (int(v) for v in x)
        if what == 1:
            child = subprocess.Popen(["sleep", "600"])
            (self.folder / "child").write_text(str(child.pid))
        (self.folder / f"pid-{number}").write_text(str(os.getpid()))
        if what == 1:
            time.sleep(600)
        if what == 2:
            os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(600)
        return Result({"val_acc": 1.0}, seed=seed)


def gone(pid, seconds=10):
    """Whether a process ends in time; a zombie has."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_trials_that_are_left_end_with_their_children_where_no_program_lists_them(bare, tmp_path):
    with Workers(Stuck(tmp_path), workers=2) as pool:
        for _ in pool.run(jobs(0, 1)):
            while not (tmp_path / "pid-1").exists():
                time.sleep(0.02)
            break  # as Ctrl-C does
        began = time.monotonic()
    assert time.monotonic() - began < places.PATIENCE_S
    pids = [int((tmp_path / name).read_text()) for name in ("pid-0", "pid-1", "child")]
    assert all(gone(pid) for pid in pids)


def test_a_stopped_worker_is_ended_by_the_driver(bare, tmp_path):
    with Workers(Stuck(tmp_path), workers=1, timeout_s=0.5, max_retries=0) as pool:
        pool._guard = replace(pool._guard, kill_s=1.0)
        done = results(pool, jobs(0, 2, 0))
    assert done[1].error == "took longer than 0.5 s, and did not stop"
    assert done[1].seconds < 10
    assert done[0].ok
    assert done[2].ok


def test_an_idle_worker_that_is_stopped_does_not_hold_the_end_up(bare, tmp_path, monkeypatch):
    monkeypatch.setattr(places, "PATIENCE_S", 0.5)
    with Workers(Stuck(tmp_path), workers=1) as pool:
        assert results(pool, jobs(0))[0].ok
        os.kill(pid := int((tmp_path / "pid-0").read_text()), signal.SIGSTOP)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert gone(pid)
    assert places.abandoned == []


def test_a_worker_that_cannot_be_ended_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "PATIENCE_S", 0.3)
    monkeypatch.setattr(places, "abandoned", [])
    kept = set()
    with monkeypatch.context() as patch:  # as if it waited for a disk
        patch.setattr(places, "_kill", kept.update)
        patch.setattr("loky.process_executor.kill_process_tree", lambda process: process.join())
        try:
            with Workers(Stuck(tmp_path), workers=1, timeout_s=0.5, max_retries=0) as pool:
                pool._guard = replace(pool._guard, kill_s=1.0)
                done = results(pool, jobs(0, 2, 0))
        finally:
            for pid in kept:  # Python would wait for it
                os.kill(pid, signal.SIGKILL)
    assert done[1].error == "took longer than 0.5 s, and its process cannot be ended"
    assert done[2].ok
    assert places.abandoned == ["worker 0 on cpu, 1 thread"]


@pytest.mark.parametrize(("ends", "code"), [("sys.exit(3)", 3), ("1 / 0", 1), ("sys.exit()", 0)])
def test_a_command_does_not_wait_for_what_cannot_be_ended(ends, code):
    program = f"""
import sys, threading
from foretell.evaluators.parts import places

places.abandoned.append("worker 0")
threading.Thread(target=threading.Event().wait).start()
print("said")
try:
    {ends}
finally:
    places.leave()
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (code, "said\n")


def test_memory_in_use_is_watched_where_address_space_says_nothing():
    with guard._watched(300_000_000):
        small = np.ones(100_000_000, dtype=np.uint8)
        time.sleep(0.3)
        pulse()
        large = np.ones(230_000_000, dtype=np.uint8)
        time.sleep(0.3)
        with pytest.raises(MemoryError):
            pulse()
    pulse()
    assert len(small) < len(large)


def test_a_process_far_above_its_memory_ends():
    code = (
        "import time, numpy as np\n"
        "from foretell.evaluators.parts import guard\n"
        "with guard._watched(50_000_000):\n"
        "    x = np.ones(200_000_000, dtype=np.uint8)\n"
        "    time.sleep(20)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == -signal.SIGKILL


class OnCard(Evaluator):
    """Tells the share of the card's memory that it may have, or that the driver has given up."""

    space = ft.Space.from_choices({"a": [0, 1]}, build=torch.nn.Identity)
    objective, device = "val_acc", "cuda"

    def evaluate(self, x, seed=0, **files):
        if x[0]:
            raise RuntimeError("CUDA error: device-side assert triggered")
        return Result({"val_acc": torch.cuda.shares[-1]}, seed=seed)


def test_a_limit_on_memory_is_one_on_the_cards_too(card):
    """Of 80 GB, 1 in use: 4 more are a sixteenth."""
    outcome = evaluate(OnCard(), Job(0, np.array([0]), 0), guard.Guard(memory_gb=4))
    assert outcome.result.metrics == {"val_acc": 5 / 80}
    assert card.shares == [5 / 80, 1.0]


def test_a_process_that_has_lost_its_card_ends(card, monkeypatch):
    """Else whatever it is given next fails as well; an error of a network alone ends nothing."""
    ended = []
    monkeypatch.setattr(guard.os, "_exit", ended.append)
    job = Job(0, np.array([1]), 0)
    limits = guard.Guard(ends=True)
    assert "CUDA error" in evaluate(OnCard(), job, limits).result.error
    assert ended == []
    card.broken = "CUDA error: device-side assert triggered"
    evaluate(OnCard(), job, replace(limits, ends=False))
    assert ended == []
    evaluate(OnCard(), job, limits)
    assert ended == [1]
