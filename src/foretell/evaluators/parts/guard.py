"""One trial, in whatever process it runs: its time, its memory, and where its weights go."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foretell.errors import RunError, SettingError
from foretell.evaluators.base import (
    Evaluator,
    Job,
    Result,
    TrialTimeout,
    deadline,
    overdrawn,
)

WATCH_S = 0.05  # between two looks at the memory in use
TOKEN = ".driver"  # a file in the folder of the weights: who sees it shares the driver's disk


@dataclass(frozen=True)
class Guard:
    """What one attempt at a trial may use.

    Args:
        timeout_s: seconds; asked by `pulse()`.
        memory_gb: main memory that it may take in addition to what its process has, 10^9 bytes; on
            a card as much of the card's.
        driver: id of the process that started it.
        kill_s: seconds after which the process is ended, where it has no other work.
        token: what the driver wrote beside the weights.
        ends: whether the process may be ended: another one takes its place.
    """

    timeout_s: float | None = None
    memory_gb: float | None = None
    driver: int = 0
    kill_s: float | None = None
    token: str = ""
    ends: bool = False


@dataclass(frozen=True)
class Outcome:
    """What an attempt gave; `weights` are the bytes of a file that the driver does not see."""

    result: Result
    timed_out: bool = False
    weights: bytes | None = None


def evaluate(evaluator: Evaluator, job: Job, guard: Guard = Guard()) -> Outcome:
    """One attempt at a trial, in a worker; whatever the evaluator raises is why it failed.

    Raises:
        SettingError: the limit on memory cannot be held here.
    """
    started = time.perf_counter()
    with contextlib.ExitStack() as limits:
        limits.enter_context(_memory(guard, evaluator.device))
        limits.enter_context(_time(guard))
        files = limits.enter_context(_files(job, guard))
        extra = {name: value for name, value in files.items() if value is not None}
        timed_out = False
        try:
            result = evaluator.evaluate(job.x, seed=job.seed, **extra)
        except TrialTimeout:
            timed_out, error = True, f"took longer than {guard.timeout_s:g} s"
        except RunError:  # not of this network: the disk is full
            raise
        except MemoryError as why:
            error = f"out of memory: {_line(why)}"
        except Exception as why:
            error = f"{type(why).__name__}: {_line(why)}"
        else:
            error = result.error
        if error:
            if guard.ends and _alone(guard) and gone_after(error, evaluator.device):
                os._exit(1)  # whatever came next here would fail as well
            if guard.memory_gb and error.startswith("out of memory"):
                error = f"{error} (a trial may take {guard.memory_gb:g} GB)"
            result = Result(seed=job.seed, seconds=time.perf_counter() - started, error=error)
        sent = files["weights"]
        elsewhere = sent is not None and sent != job.weights and sent.exists()
        return Outcome(result, timed_out, sent.read_bytes() if sent and elsewhere else None)


@contextlib.contextmanager
def _files(job: Job, guard: Guard) -> Iterator[dict[str, Any]]:
    """What the evaluator is asked beside the row; a folder of its own without a shared disk."""
    asked = {"weights": job.weights, "state": job.state, "epochs": job.epochs}
    if job.weights is None or not guard.token or _shared(job.weights.parent, guard.token):
        yield asked
        return
    with tempfile.TemporaryDirectory(prefix="foretell-") as folder:
        yield asked | {"weights": Path(folder) / job.weights.name, "state": None}


def _shared(folder: Path, token: str) -> bool:
    try:
        return (folder / TOKEN).read_text() == token
    except OSError:
        return False


@contextlib.contextmanager
def _time(guard: Guard) -> Iterator[None]:
    """The deadline of `pulse()`; where it is never asked, the system ends the process by SIGALRM.

    The alarm needs no turn of the interpreter, so what hangs in compiled code ends as well.
    """
    if guard.timeout_s is None:
        yield
        return
    token = deadline.set(time.monotonic() + guard.timeout_s)
    alarm = guard.kill_s is not None and os.name == "posix" and _alone(guard)
    if alarm and guard.kill_s is not None:
        before = signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, guard.kill_s)
    try:
        yield
    finally:
        if alarm:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        deadline.reset(token)


@contextlib.contextmanager
def _memory(guard: Guard, device: str) -> Iterator[None]:
    """A limit on the private memory of this process: what it has now, and `memory_gb`.

    The system holds it, by address space. A driver of CUDA reserves more of that than there is
    memory, so there the memory in use is watched, and torch holds the same limit on the card's.
    """
    if guard.memory_gb is None:
        yield
        return
    if not sys.platform.startswith("linux"):
        raise SettingError("memory_gb", expected="workers on Linux", got=sys.platform)
    if not _alone(guard):
        raise SettingError(
            "memory_gb",
            expected="workers that are processes and have one trial at a time",
            got="trials that share a process",
            hint="use local workers or Ray, or the limit that your executor has",
        )
    if _reserves(device):
        more = int(guard.memory_gb * 1e9)
        with _watched(more), _of_card(device, more):
            yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    allowed = _private_bytes() + int(guard.memory_gb * 1e9)
    if hard != resource.RLIM_INFINITY:
        allowed = min(allowed, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


@contextlib.contextmanager
def _watched(more: int) -> Iterator[None]:
    """A limit on memory in use: `pulse()` raises above it; a quarter above it the process ends.

    Args:
        more: bytes, in addition to what the process has in use now.
    """
    over, done, before = threading.Event(), threading.Event(), _bytes_in_use()

    def watch() -> None:
        while not done.wait(WATCH_S):
            taken = _bytes_in_use() - before
            if taken > more:
                over.set()
            if taken > 1.25 * more:  # nobody asks, and the machine is in danger
                os.kill(os.getpid(), signal.SIGKILL)

    token = overdrawn.set(over)
    watcher = threading.Thread(target=watch, daemon=True, name="foretell-memory")
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        overdrawn.reset(token)


@contextlib.contextmanager
def _of_card(device: str, more: int) -> Iterator[None]:
    """A limit on the memory that torch takes of a card: what it has now, and `more` bytes."""
    import torch

    from foretell.nets.devices import pick_device

    card = pick_device(device)
    whole = torch.cuda.get_device_properties(card).total_memory
    share = (torch.cuda.memory_reserved(card) + more) / whole
    torch.cuda.set_per_process_memory_fraction(min(1.0, share), card)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, card)


def _reserves(device: str) -> bool:
    """Whether what trains on `device` reserves address space that it does not use."""
    if device != "auto" and not device.startswith("cuda"):
        return False
    import torch

    return bool(torch.cuda.is_available())


def gone_after(error: str, device: str) -> bool:
    """Whether a trial's error has left this process without its card."""
    if "CUDA error" not in error or not _reserves(device):
        return False
    from foretell.nets.devices import pick_device

    return bool(gone(pick_device(device)))


def gone(device: Any) -> str:
    """Why this process cannot use a card any more, in a line; empty while it can.

    Args:
        device: a `torch.device` of type "cuda".
    """
    import torch

    try:
        torch.cuda.synchronize(device)
    except RuntimeError as error:
        return str(error).splitlines()[0]
    return ""


def _bytes_in_use() -> int:
    """Private memory of this process that is in use."""
    _, resident, shared, *_ = Path("/proc/self/statm").read_text().split()
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")


def _private_bytes() -> int:
    """What the system counts against RLIMIT_DATA."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (kilobytes,) = [line.split()[1] for line in lines if line.startswith("VmData:")]
    return 1024 * int(kilobytes)


def _alone(guard: Guard) -> bool:
    """Whether this process has no other work: pools of threads call from other threads."""
    return threading.current_thread() is threading.main_thread() and os.getpid() != guard.driver


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:500]
