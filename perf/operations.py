"""A run is ended at each of its file operations: killed there, amid a write, or out of disk.

The run is small (a table, several rounds, replicates, random search beside it), and each call of it
is a fork of one process that has all modules loaded, without the figures of the report, so that it
takes a few seconds. The same call is repeated, at times with other numbers of threads, until the
run ends. Bounds: what the journal had is there to the byte, no network that it had is trained
again, and the run that ends is the unbroken one: to the bit where threads are the same. All calls
of a run together take at most 1.25 of the processor time of the unbroken run, with one fault.

    python perf/operations.py --kills 1000 --seed 0
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from foretell import NAS, report
from foretell._files import write_text
from foretell.errors import ForetellError
from foretell.evaluators.trainer import Trainer
from foretell.runs import journal

KINDS = ("kill", "torn", "full")  # SIGKILL before it; amid a write; no space from there on
EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link")
TIMES = ("seconds", "ended_s", "fit_s", "predict_s", "wall_s", "started", "phases", "usage")
MOST = 40  # calls until a run has to have ended
SETTINGS: dict[str, Any] = {
    "space": "tabular",
    "workers": 0,
    "n_train": 4,
    "top_k": 3,
    "epochs": 25,
    "predictor": "rf",
    "replicates": 1,
    "compare_random": True,
    "recipe": {"batch_size": 32},
    "strategy": "neural-predictor",
    "strategy_settings": {"batch": 1},
}


class BrokenPromiseError(Exception):
    """A promise that did not hold."""


@dataclass
class Fault:
    """Ends this process at the n-th file operation below a folder.

    Args:
        folder: whose files count.
        at: number of the operation, from 1; 0 for never.
        kind: one of `KINDS`.
    """

    folder: str
    at: int
    kind: str
    count: int = 0

    def arm(self) -> None:
        """From now on, in this process."""
        sys.addaudithook(self._event)
        fsync, write = os.fsync, journal.Journal._write

        def synced(fd: int) -> None:
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/self/fd/{fd}").startswith(self.folder):
                    self._step()
            if self._full():
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            fsync(fd)

        def written(book: journal.Journal, data: bytes) -> None:
            if self._step(tears=True):
                book._file.write(data[: len(data) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            if self._full():
                book._file.write(data[: len(data) // 3])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            write(book, data)

        os.fsync = synced  # type: ignore[assignment]  # for this process alone
        journal.Journal._write = written  # type: ignore[assignment, method-assign]  # for this process alone

    def _event(self, event: str, args: tuple[Any, ...]) -> None:
        if event not in EVENTS or not str(args[0]).startswith(self.folder):
            return
        if event == "open" and not (
            isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
        ):
            return
        self._step()
        if self._full() and event in ("open", "os.mkdir"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _step(self, tears: bool = False) -> bool:
        """Count an operation; whether it is to be torn."""
        self.count += 1
        if self.count != self.at or self.kind == "full":
            return False
        if self.kind == "torn" and tears:
            return True
        os.kill(os.getpid(), signal.SIGKILL)
        return False

    def _full(self) -> bool:
        return self.kind == "full" and 0 < self.at <= self.count


@dataclass
class Tally:
    """What has happened so far."""

    kinds: Counter[str] = field(default_factory=Counter)
    places: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    runs: int = 0
    seconds: float = 0.0  # of a processor, for the unbroken run
    took: list[tuple[int, float]] = field(default_factory=list)  # faults and seconds of each run

    @property
    def faults(self) -> int:
        """How many calls were ended."""
        return self.kinds.total()


class Case:
    """One folder, and the unbroken run to compare with.

    Args:
        folder: of the run.
        data: what it is trained on.
        seed: of the run.
        tally: where faults are counted.
    """

    def __init__(self, folder: Path, data: Path, seed: int, tally: Tally) -> None:
        self.folder, self.data, self.seed, self.tally = folder, data, seed, tally
        self.log = folder.parent / f"{folder.name}.log"
        self.before = b""

    def call(self, fault: Fault, threads: int = 1) -> tuple[int, int]:
        """One call of the command.

        Returns: its exit code (2 where it said one line) or minus the signal that ended it, and how
        many operations it made.
        """
        self.tally.calls += 1
        out, inn = os.pipe()
        pid = os.fork()
        if not pid:
            code = 1
            try:
                os.close(out)
                sys.stdout = sys.stderr = io.StringIO()
                self._train(fault, threads)
                code = 0
            except ForetellError:
                code = 2
            except BaseException:
                os.write(inn, traceback.format_exc().encode()[-3000:])
            finally:
                os.write(inn, f"\n{fault.count}".encode())
                os._exit(code)
        os.close(inn)
        with open(out, "rb") as file:
            said = file.read().decode(errors="replace")
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if code == 1:
            raise BrokenPromiseError(f"a traceback:\n{said}")
        return code, int(said.rpartition("\n")[2] or 0)

    def _train(self, fault: Fault, threads: int) -> None:
        evaluate = Trainer.evaluate

        def counted(trainer: Trainer, x: Any, seed: int = 0, **more: Any) -> Any:
            with open(self.log, "a") as file:
                file.write(f"{seed}\n")
            return evaluate(trainer, x, seed, **more)

        def page(folder: Path, space: Any = None) -> Path:
            write_text(folder / "report.html", "without figures")
            return folder / "report.html"

        Trainer.evaluate = counted  # type: ignore[assignment, method-assign]  # for this process alone
        report.write = page  # type: ignore[assignment]  # for this process alone
        settings = {**SETTINGS, "recipe": {**SETTINGS["recipe"], "threads": threads}}
        nas = NAS(**settings, seed=self.seed, out=self.folder)
        fault.arm()
        nas.fit(self.data)

    def events(self) -> list[journal.Event]:
        """What the journal has."""
        path = self.folder / "trials.jsonl"
        return journal.read(path) if path.exists() else []

    def nothing_lost(self, known: dict[int, str], trained: int) -> None:
        """Raise `BrokenPromiseError` where the journal has lost something in the last call.

        That is a byte, or a network that it had and that was trained again.

        Args:
            known: weights of networks by the seed that they were trained with, before the call.
            trained: lines of the log, before the call.
        """
        path = self.folder / "trials.jsonl"
        data = path.read_bytes() if path.exists() else b""
        if not data.startswith(self.before):
            raise BrokenPromiseError("the journal has lost what it had")
        self.before = data[: data.rfind(b"\n") + 1]
        for seed in self.trained()[trained:]:
            if seed in known:
                raise BrokenPromiseError(f"the network of seed {seed} was trained again")

    def trained(self) -> list[int]:
        """Seeds of all trainings that were begun."""
        return [int(line) for line in self.log.read_text().split()] if self.log.exists() else []

    def known(self) -> dict[int, str]:
        """Networks that the journal has, by their seeds."""
        some = (event for event in self.events() if event["event"] == "trial")
        return {event["seed"]: event.get("weights") or "" for event in some}

    def break_and_continue(self, faults: Iterator[tuple[int, str]], threads: Iterator[int]) -> None:
        """Call until the run has ended, each call with the next fault, if there is one."""
        before, began = self.tally.faults, children_s()
        for _ in range(MOST):
            at, kind = next(faults, (0, "kill"))
            known, n = self.known(), len(self.trained())
            place = where(self.events(), self.folder)
            code, _ = self.call(Fault(str(self.folder), at, kind), next(threads))
            self.nothing_lost(known, n)
            if code == 0:
                break
            self.tally.kinds[kind] += 1
            self.tally.places[place] += 1
            if code == 2 and kind != "full":
                raise BrokenPromiseError("a call that nobody disturbed was refused")
        else:
            raise BrokenPromiseError(f"the run has not ended after {MOST} calls")
        self.tally.runs += 1
        self.tally.took.append((self.tally.faults - before, children_s() - began))


def children_s() -> float:
    """Seconds of a processor that the calls have taken so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def where(events: list[journal.Event], folder: Path) -> str:
    """Which part of the run a call begins in."""
    if (folder / "best").exists() or any(event["event"] == "final" for event in events):
        return "end"
    asks = [event["phase"] for event in events if event["event"] == "ask"]
    return asks[-1] if asks else "start"


def told(case: Case) -> dict[str, Any]:
    """What the journal says, without times."""
    kinds: dict[str, list[Any]] = {key: [] for key in ("ask", "trial", "rank", "final")}
    for event in case.events():
        if event["event"] in kinds:
            kinds[event["event"]].append({k: v for k, v in event.items() if k not in TIMES})
    ids = [event["id"] for event in kinds["trial"]]
    if len(set(ids)) < len(ids):
        raise BrokenPromiseError(f"trials more than once: {ids}")
    return kinds


def compare(case: Case, unbroken: Case, *, bits: bool) -> None:
    """Raise `BrokenPromiseError` where a run is not the unbroken one.

    Args:
        case: that was broken.
        unbroken: of the same seed.
        bits: whether all has to be the same; else that it holds together: each network once, and
            the winner's figures those of its training.
    """
    mine, theirs = told(case), told(unbroken)
    if bits:
        for what, value in theirs.items():
            if mine[what] != value:
                raise BrokenPromiseError(f"{what} differ:\n{mine[what]}\n{value}")
    else:
        (final,) = mine["final"]
        (winner,) = [event for event in mine["trial"] if event["id"] == final["id"]]
        differ = {k for k, v in winner["metrics"].items() if final["metrics"][k] != v}
        if differ or len(mine["trial"]) != len(theirs["trial"]):
            raise BrokenPromiseError(f"the winner has two figures: {differ}")
    config = json.loads((case.folder / "best" / "config.json").read_text())
    if config["trial"]["id"] != mine["final"][0]["id"]:
        raise BrokenPromiseError("best/ is another network")
    names = [sorted(str(path.relative_to(one.folder)) for path in one.folder.rglob("*"))
             for one in (case, unbroken)]  # fmt: skip
    if names[0] != names[1]:
        raise BrokenPromiseError(f"files: {set(names[0]) ^ set(names[1])}")
    for name in names[1] if bits else ():
        if name.startswith("best/") or name.endswith(".csv"):
            a, b = ((one.folder / name).read_bytes() for one in (case, unbroken))
            if a != b and name != "best/README.md":
                raise BrokenPromiseError(f"{name} is not that of the unbroken run, bit by bit")


def make_data(path: Path) -> Path:
    """A small table."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 3))
    rows = [f"{a:.4f},{b:.4f},{c:.4f},{'xy'[int(a * b > c)]}" for a, b, c in X]
    path.write_text("\n".join(["a,b,c,kind", *rows]) + "\n")
    return path


def sweep(
    here: Path,
    kills: int,
    seed: int,
    say: Callable[[str], object] = lambda text: None,
    *,
    first: int = 1,
    step: int = 1,
) -> Tally:
    """Break runs until there have been so many faults: the first call of a run ends at operation
    `first`, `first + step`, ..., the ones after it somewhere at random."""
    rng, tally = np.random.default_rng(seed), Tally()
    data = make_data(here / "data.csv")
    NAS(**{**SETTINGS, "n_train": 2, "top_k": 1}, seed=9, out=here / "warm").fit(data)
    unbroken = Case(here / "unbroken", data, 0, Tally())
    began = children_s()
    code, n = unbroken.call(Fault(str(unbroken.folder), 0, "kill"))
    if code:
        raise BrokenPromiseError("the unbroken run did not end")
    tally.seconds = children_s() - began
    say(f"unbroken run: {n} file operations, {tally.seconds:.1f} s")
    at = first
    while tally.faults < kills:
        kind = KINDS[tally.runs % 3]
        bits = tally.runs % 4 < 3
        more = [
            (int(rng.integers(1, n)), str(rng.choice(KINDS))) for _ in range(rng.integers(0, 3))
        ]
        case = Case(here / f"run{tally.runs}", data, 0, tally)
        said = f"operation {at} of {n}, {kind}, then {more}"
        threads = (1 if bits else int(rng.integers(1, 3)) for _ in range(MOST))  # of each call
        try:
            case.break_and_continue(iter([((at - 1) % n + 1, kind), *more]), threads)
            compare(case, unbroken, bits=bits)
        except BrokenPromiseError as error:
            raise BrokenPromiseError(f"{said}: {error}") from None
        at += step
        if tally.runs % 10 == 0:
            say(f"{tally.faults:4d} faults, {tally.runs} runs, {tally.calls} calls")
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=1, help="operation that is ended first")
    parser.add_argument("--step", type=int, default=1, help="from it to the next")
    args = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        say = partial(print, flush=True)
        tally = sweep(Path(name), args.kills, args.seed, say, first=args.first, step=args.step)
    spent = time.monotonic() - began
    print(f"{tally.faults} faults in {spent:.0f} s, {tally.runs} runs ended equal")
    print(f"kinds: {dict(tally.kinds)}\nbegun in: {dict(tally.places)}")
    for faults in sorted({n for n, _ in tally.took}):
        times = np.array([s for n, s in tally.took if n == faults]) / tally.seconds
        half, tenth = np.quantile(times, [0.5, 0.9])
        said = f"{faults} faults: {len(times)} runs, {half:.2f} of the unbroken time in the median"
        print(f"{said}, 90 % {tenth:.2f}, most {times.max():.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
