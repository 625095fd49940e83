"""Local workers: a process each, with its device and its share of the cores."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from itertools import takewhile
from pathlib import Path
from typing import ParamSpec, TypeVar

from foretell.errors import RunError

P = ParamSpec("P")
T = TypeVar("T")
PATIENCE_S = 5.0  # for a process that was ended
abandoned: list[str] = []  # places whose process could not be ended: Python would wait for it


class Place:
    """One local worker process: started with its first call, and again after it has died.

    Args:
        number: of the worker, from 0.
        env: what its environment has before anything is imported, e.g. the one device that it sees.
        label: the place in words.
    """

    def __init__(self, number: int, env: dict[str, str], label: str) -> None:
        self.number, self.env, self.label = number, env, label
        self.busy = False
        self.warm = False  # whether its process has answered a call
        self._executor: Executor | None = None

    @property
    def begun(self) -> bool:
        """Whether it has a process, or had one that nobody has missed yet."""
        return self._executor is not None

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call `fn` in the process.

        Raises:
            RunError: processes end as soon as they start.
        """
        for _ in range(3):
            if self._executor is None:
                self._executor = local(1, self.env)
            try:
                return self._executor.submit(fn, *args, **kwargs)
            except BrokenExecutor:  # it died while idle
                self.close(kill=True)
        raise RunError("local workers die as soon as they start", hint="try workers=0")

    def kill(self) -> None:
        """Have the system end the process and those that it has started; nothing is waited for."""
        _kill(_pids(self._executor))

    def close(self, kill: bool = False) -> None:
        """End the process; with `kill` in the middle of what it does.

        One that does not end by itself is killed, and one that the system cannot kill, as it waits
        for a disk that is gone, is left alone.
        """
        executor, self._executor, self.busy, self.warm = self._executor, None, False, False
        if executor is None:
            return
        pids, manager = _pids(executor), getattr(executor, "_executor_manager_thread", None)
        if kill:
            _kill(pids)  # loky may need programs for it that are not there
        executor.shutdown(wait=False, kill_workers=kill)  # type: ignore[call-arg]  # loky's
        if manager is None:
            return
        manager.join(PATIENCE_S)
        if manager.is_alive() and not kill:
            _kill(pids)
            manager.join(PATIENCE_S)
        if manager.is_alive():
            abandoned.append(self.label)


def _pids(executor: Executor | None) -> list[int]:
    return list(getattr(executor, "_processes", None) or ())


def _kill(pids: Iterable[int]) -> None:
    for one in pids:
        for pid in (*descendants(one), one):
            with contextlib.suppress(OSError):  # it has just ended
                os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))


def leave() -> None:
    """End this process where Python would wait for one that cannot be ended."""
    if abandoned:
        error = sys.exc_info()[1]
        code = error.code if isinstance(error, SystemExit) else int(error is not None)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))


def places(workers: int, device: str, threads: int, devices: Sequence[str]) -> list[Place]:
    """Places of `workers` processes, the devices given out in turn.

    Args:
        workers: how many.
        device: what trains there, in torch's words; "auto" and "cuda" get devices.
        threads: CPU threads of one trial, for the label.
        devices: as CUDA_VISIBLE_DEVICES names them.
    """
    share = str(threads_per_worker(workers))
    out = []
    for i in range(workers):
        env = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), share)
        where = "cpu" if device in ("auto", "cuda") else device
        label = f"worker {i} on {where}"
        if where == "cpu":
            label += f", {threads} thread{'s' * (threads != 1)}"
        if devices:
            k = i % len(devices)
            env["CUDA_VISIBLE_DEVICES"] = devices[k]
            label = f"worker {i} on cuda:{k} (device {devices[k]})"
        out.append(Place(i, env, label))
    return out


def idle(workers: int, devices: Sequence[str]) -> list[str]:
    """A line on devices that nobody uses.

    >>> idle(2, ["0", "1", "3", "4"])
    ['devices 3, 4 idle: 4 devices, 2 workers; use --workers 4']
    >>> idle(4, ["0", "1"])
    []
    """
    rest = devices[max(workers, 1) :]
    if not rest:
        return []
    verb = f"device {rest[0]} idles" if len(rest) == 1 else f"devices {', '.join(rest)} idle"
    n = f"{workers} worker{'s' * (workers != 1)}" if workers else "trials in this process"
    return [f"{verb}: {len(devices)} devices, {n}; use --workers {len(devices)}"]


def cuda_devices() -> list[str]:
    """The CUDA devices that torch may use here, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    # counts by NVML where it can: a driver that makes a context takes memory of the device
    return named(os.environ.get("CUDA_VISIBLE_DEVICES"), torch.cuda.device_count())


def named(visible: str | None, count: int) -> list[str]:
    """Names of `count` devices of which the environment says that those in `visible` may be seen.

    >>> named(None, 2), named("4,GPU-8a3f", 2), named("", 0), named("2,-1,3", 1)
    (['0', '1'], ['4', 'GPU-8a3f'], [], ['2'])
    """
    if visible is None:
        return [str(i) for i in range(count)]
    words = (word.strip() for word in visible.split(","))
    return list(takewhile(lambda word: word and word != "-1", words))[:count]


def threads_per_worker(workers: int) -> int:
    """Share of the usable cores that one of `workers` processes gets, at least 1."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, cores // max(1, workers))


def local(workers: int, env: dict[str, str] | None = None) -> Executor:
    """A pool of processes that end when this one ends, however it ends."""
    import loky

    _quiet()
    share = str(threads_per_worker(workers))
    env = env or dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), share)
    executor: Executor = loky.ProcessPoolExecutor(
        workers, initializer=_begin, initargs=(os.getpid(),), env=env
    )
    return executor


def _quiet() -> None:
    """No alarm over what is in order.

    After `kill -9` of the driver loky's tracker removes its semaphores, and calls them leaked.
    A worker whose memory has grown is replaced between two trials, and loses none.
    """
    from loky.backend import resource_tracker

    warnings.filterwarnings("ignore", message="A worker was restarted while some jobs")
    warnings.filterwarnings("ignore", message="Failed to kill subprocesses")  # `Place.kill` has
    before = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, [before, "ignore:resource_tracker"]))
    try:
        resource_tracker.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONWARNINGS"]
        else:
            os.environ["PYTHONWARNINGS"] = before


def descendants(pid: int) -> list[int]:
    """Processes that a process has started, and those that these have, the last ones first; none
    where the system does not tell by files."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):  # it has just ended
            parent = int(path.read_text(errors="replace").rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(path.parent.name))
    found, todo = [], [pid]
    while todo:
        children = parents.get(todo.pop(), [])
        found += children
        todo += children
    return found[::-1]


def sweep(driver: int) -> None:
    """Remove the semaphores of a driver that was killed together with all that would do it."""
    try:
        os.kill(driver, 0)
    except ProcessLookupError:
        for path in Path("/dev/shm").glob(f"sem.loky-{driver}-*"):
            with contextlib.suppress(OSError):
                path.unlink()
    except OSError:
        return  # somebody else's, and alive


def _begin(driver: int) -> None:
    """In a new worker: the driver answers Ctrl-C, and without a driver there is nothing to do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == driver:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
