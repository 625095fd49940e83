"""What `Workers` is told of each kind of executor, by a file of its own."""

from __future__ import annotations

import math
import subprocess
import sys
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass

import pytest

import foretell as ft
from foretell.evaluators.base import Evaluator, Result
from foretell.evaluators.executors.choose import backend
from foretell.evaluators.executors.here import InProcess
from foretell.evaluators.parts.guard import Guard


@dataclass
class Constant(Evaluator):
    objective = "val_acc"
    space = ft.Space.from_choices({"a": [1, 2]}, build=print)

    def evaluate(self, x, seed=0, **_):
        return Result({"val_acc": 1.0}, seed=seed)


class Unsized(Executor):
    """An executor that does not say how many calls it takes."""

    def submit(self, fn, /, *args, **kwargs):
        return InProcess().submit(fn, *args, **kwargs)


@pytest.mark.parametrize(
    ("make", "room", "one_process", "words"),
    [
        (lambda: None, 2, False, "worker 0 on cpu, 1 thread"),
        (InProcess, 2, True, "trials run in this process, on cpu"),
        (lambda: ThreadPoolExecutor(3), 3, True, "ThreadPoolExecutor, up to 3 trials at once"),
        (lambda: ProcessPoolExecutor(3), 3, False, "ProcessPoolExecutor, up to 3 trials at once"),
        (Unsized, math.inf, False, "trials run on Unsized"),
    ],
)
def test_a_kind_says_its_room_and_where_it_is(make, room, one_process, words):
    found = backend(make(), 2, Constant(), None)
    assert found.room == room
    assert found.one_process is one_process
    assert found.places[0].endswith(words)
    assert found.ends_late is (words.startswith("worker"))
    found.close(wait=True)


def test_what_no_worker_has_lost_is_not_repeated():
    error = BrokenExecutor("exit codes of the workers are {SIGKILL(-9)}")
    foreign = backend(Unsized(), 2, Constant(), None)
    assert foreign.lost(foreign.submit(int), error, Guard(), 0.0, 1) is None
    with_one = backend(None, 1, Constant(), None)
    future = with_one.submit(int)
    assert with_one.lost(future, ValueError("x"), Guard(), 0.0, 1) is None
    lost = with_one.lost(future, error, Guard(), 0.0, 2)
    assert lost.alone
    assert lost.reason.startswith("its worker process died 2 times (SIGKILL(-9)): out of memory")
    late = BrokenExecutor("exit codes of the workers are {SIGALRM(-14)}")
    told = with_one.lost(future, late, Guard(timeout_s=3.0), 4.0, 1)
    assert (told.reason, told.alone) == ("took longer than 3 s, and did not stop", False)
    with_one.close(wait=False)


def test_no_library_is_imported_that_is_not_in_use():
    code = (
        "import sys; from foretell.evaluators.workers import Workers; "
        "from foretell.evaluators.executors.choose import backend; "
        "print(sorted({'ray', 'distributed', 'dask', 'loky', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
