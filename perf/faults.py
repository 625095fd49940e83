"""Random kill -9 of short runs on real small networks: driver, workers, both, everything.

The same command is repeated until the run ends; then it must be the unbroken run of the same seed
to the bit. Bound: nothing lost, nothing twice, nothing left behind, after every one of the kills.

    python perf/faults.py --kills 100 --seed 0
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from foretell.runs import journal

RUN = [
    *("--data", "digits", "--space", "mobile", "--space-set", "preset=tiny", "--predictor", "rf"),
    *("--train", "8", "--top", "3", "--epochs", "4", "--workers", "2", "--compare-random"),
    *("--strategy", "neural-predictor"),
]
MORE = ((), ("--halving", "sync", "--eta", "2"), ("--replicates", "1"))  # by turns
KINDS = ("driver", "worker", "workers", "both", "everything")
WORKERS = ("worker", "workers")  # the driver lives on
GRACE_S = 5.0  # in which everything that a killed driver had started has to end
START_S = 3.0  # until a run is at work, about
MARK = "FORETELL_FAULT"
TIMES = ("seconds", "ended_s", "fit_s", "predict_s", "wall_s", "started", "phases", "usage")


class BrokenPromiseError(Exception):
    """A promise that did not hold."""


@dataclass
class Attempt:
    """One call of the command, in a session of its own, with all processes it starts."""

    command: Sequence[str]
    scratch: Path

    def __post_init__(self) -> None:
        self.mark = uuid.uuid4().hex
        env = {**os.environ, MARK: self.mark, "TMPDIR": str(self.scratch), "OMP_NUM_THREADS": "1"}
        self.log = open(self.scratch.parent / f"{self.mark}.log", "w")  # noqa: SIM115
        self.process = subprocess.Popen(
            self.command, env=env, start_new_session=True, stdout=self.log, stderr=self.log
        )
        self.started, self.killed = time.monotonic(), 0.0
        self.gone: float | None = None
        self.lost = False  # whether a worker was killed and the driver was not

    def members(self) -> dict[int, str]:
        """Process ids and command lines of all that carry the mark and are not dead."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):  # it has just ended
                if f"{MARK}={self.mark}".encode() not in (entry / "environ").read_bytes():
                    continue
                if (entry / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX":
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(entry.name)] = line.decode(errors="replace")
        return found

    def kill(self, kind: str, rng: np.random.Generator) -> bool:
        """Send the signals; whether there was anybody to get one."""
        workers = [pid for pid, line in self.members().items() if "popen_loky" in line]
        if kind == "worker":
            workers = [int(rng.choice(workers))] if workers else []
        if kind in WORKERS and not workers:
            return False
        if kind == "everything":
            targets = list(self.members())
        else:
            targets = [self.process.pid] * (kind in ("driver", "both"))
            targets += workers * (kind != "driver")
        order = [int(pid) for pid in rng.permutation(targets)]
        if self.lost:  # a driver that sees a trial lose its worker again gives it up, rightly
            order.sort(key=lambda pid: pid != self.process.pid)
        self.lost = self.lost or kind in WORKERS
        for pid in order:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.killed = time.monotonic()
        return True

    def orphans_gone(self) -> float:
        """Seconds after the kill in which the last process ended."""
        if self.gone is not None:
            return self.gone
        while members := self.members():
            if time.monotonic() - self.killed > GRACE_S:
                raise BrokenPromiseError(f"orphans {GRACE_S} s after the kill: {members}")
            time.sleep(0.02)
        self.gone = time.monotonic() - self.killed
        return self.gone

    def end(self) -> int:
        """Wait for the driver; its exit code."""
        code = self.process.wait()
        self.killed = self.killed or time.monotonic()
        self.log.close()
        return code

    def said(self) -> str:
        """What it wrote to the terminal."""
        return Path(self.log.name).read_text()


Moment = Callable[[Attempt], bool]  # whether it has come
Plan = Sequence[tuple[str, Moment]]  # kinds of kills, and when


@dataclass
class Tally:
    """What has happened so far."""

    kinds: Counter[str] = field(default_factory=Counter)
    places: Counter[str] = field(default_factory=Counter)
    orphan_s: float = 0.0
    rivals: Counter[str] = field(default_factory=Counter)
    attempts: int = 0
    runs: int = 0

    @property
    def kills(self) -> int:
        """How many times signals were sent."""
        return self.kinds.total()


@dataclass
class Case:
    """A command with a folder, and the unbroken run to compare with."""

    arguments: Sequence[str]
    folder: Path
    unbroken: Path
    usual_s: float
    rng: np.random.Generator
    tally: Tally
    pids: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.scratch = self.folder.parent / "tmp"
        self.scratch.mkdir(exist_ok=True)
        self.before = b""

    def start(self) -> Attempt:
        """Call the command."""
        command = [sys.executable, "-m", "foretell", "run", *self.arguments]
        attempt = Attempt([*command, "--out", str(self.folder)], self.scratch)
        self.pids.append(attempt.process.pid)
        self.tally.attempts += 1
        return attempt

    def survive(self, plans: Iterator[Plan], rival: float = 0.0) -> None:
        """Kill and repeat until the run has ended, then compare it with the unbroken one.

        Args:
            plans: kills of each call of the command; none when it ends.
            rival: how often a second driver is started shortly before the kill.
        """
        last: Attempt | None = None
        while True:
            attempt = self.start()
            if last is not None:  # the next one is under way before the orphans are gone
                self.tally.orphan_s = max(self.tally.orphan_s, last.orphans_gone())
            last = attempt
            for kind, moment in next(plans, ()):
                while not moment(attempt) and attempt.process.poll() is None:
                    time.sleep(0.004)
                second = None
                if self.rng.random() < rival:
                    second = self.start()
                    time.sleep(self.rng.random() * 2 * START_S)
                place = where(self.folder)
                if attempt.process.poll() is None and attempt.kill(kind, self.rng):
                    self.tally.kinds[kind] += 1
                    self.tally.places[place] += 1
                if second is not None:
                    if attempt.killed and kind not in WORKERS:
                        attempt.orphans_gone()  # before the second one, which may run to its end
                    self._rival(second)
            code = attempt.end()
            self._nothing_lost()
            if code == 0:
                break
            if code != -signal.SIGKILL and not refused(attempt, code):
                raise BrokenPromiseError(f"exit code {code}: {attempt.said()}")
        attempt.killed, attempt.gone = time.monotonic(), None
        attempt.orphans_gone()
        self.compare()
        self.tally.runs += 1

    def plans(self, enough: Callable[[], bool]) -> Iterator[Plan]:
        """Random kills until there are enough."""
        while not enough():
            kinds = []
            if self.rng.random() < 0.4:  # once at most: who loses its worker twice has failed
                kinds.append(str(self.rng.choice(WORKERS)))
            if self.rng.random() < 0.85:
                kinds.append(str(self.rng.choice([kind for kind in KINDS if kind not in WORKERS])))
            yield [(kind, self._moment()) for kind in kinds]

    def _moment(self) -> Moment:
        """In the first seconds, in the end, or somewhen between two of the trials to come."""
        sort, share = self.rng.random(), float(self.rng.random())
        have, all_ = trials_of(self.folder), trials_of(self.unbroken)
        goal = int(self.rng.integers(have, all_ + 1))
        since: list[float] = []

        def come(attempt: Attempt) -> bool:
            now = time.monotonic()
            if sort < 0.15:
                return now > attempt.started + share * START_S
            if not since and (
                ending(self.folder) if sort < 0.35 else trials_of(self.folder) >= goal
            ):
                since.append(now)
            pause = 1.0 if sort < 0.35 else START_S * (goal == have) + self.usual_s / all_
            return bool(since) and now > since[0] + share * pause

        return come

    def _rival(self, second: Attempt) -> None:
        code = second.end()
        if not (refused(second, code) or code == 0):
            raise BrokenPromiseError(f"a second driver ended with {code}: {second.said()}")
        self.tally.rivals["took over" if code == 0 else "refused"] += 1

    def _nothing_lost(self) -> None:
        path = self.folder / "trials.jsonl"
        events_of(self.folder)  # raises if it cannot be read
        data = path.read_bytes() if path.exists() else b""
        if not data.startswith(self.before):
            raise BrokenPromiseError("the journal has lost what it had")
        self.before = data[: data.rfind(b"\n") + 1]

    def compare(self) -> None:
        """Raise `BrokenPromiseError` where the run that was killed is not the unbroken one."""
        mine, theirs = (told(folder) for folder in (self.folder, self.unbroken))
        for what, value in theirs.items():
            if mine[what] != value:
                raise BrokenPromiseError(f"{what} differ:\n{mine[what]}\n{value}")
        names = [
            sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
            for folder in (self.folder, self.unbroken)
        ]
        if names[0] != names[1]:
            raise BrokenPromiseError(f"files: {set(names[0]) ^ set(names[1])}")
        for name in names[1]:
            if name.startswith("best/") or name.endswith(".csv"):
                a, b = (folder / name for folder in (self.folder, self.unbroken))
                if a.read_bytes() != b.read_bytes():
                    raise BrokenPromiseError(f"{name} is not that of the unbroken run, bit by bit")


def refused(attempt: Attempt, code: int) -> bool:
    """Whether a driver was told that another one is at work."""
    return code == 2 and "another run is at work" in attempt.said()


def ending(folder: Path) -> bool:
    """Whether the search is over and the rest has begun."""
    return (folder / "best.tmp").exists() or (folder / "best").exists()


def events_of(folder: Path) -> list[journal.Event]:
    """What the journal has, if there is one yet."""
    path = folder / "trials.jsonl"
    return journal.read(path) if path.exists() else []


def trials_of(folder: Path) -> int:
    """How many trials have a result."""
    path = folder / "trials.jsonl"
    return path.read_bytes().count(b'"event":"trial"') if path.exists() else 0


def where(folder: Path) -> str:
    """Which part of the run it is in."""
    if ending(folder):
        return "end"
    asks = [event["phase"] for event in events_of(folder) if event["event"] == "ask"]
    return asks[-1] if asks else "start"


def told(folder: Path) -> dict[str, Any]:
    """What the journal says, without times."""
    kinds: dict[str, list[Any]] = {key: [] for key in ("ask", "rung", "trial", "rank", "final")}
    for event in events_of(folder):
        if event["event"] in kinds:
            kinds[event["event"]].append({k: v for k, v in event.items() if k not in TIMES})
    for kind, key in (("trial", "id"), ("rung", "id"), ("rung", "epochs")):
        kinds[kind].sort(key=lambda event: event[key])  # stable: rungs by epochs, then id
    ids = [event["id"] for event in kinds["trial"]]
    if len(set(ids)) < len(ids):
        raise BrokenPromiseError(f"trials more than once: {ids}")
    return kinds


def leaked(pids: Sequence[int]) -> list[str]:
    """Names in shared memory that hold the id of one of our processes."""
    shm = Path("/dev/shm")
    names = [item.name for item in shm.iterdir()] if shm.is_dir() else []
    return [name for name in names if any(re.search(rf"\D{p}(\D|$)", name) for p in pids)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=3, help="different runs to kill")
    args = parser.parse_args()
    rng, tally, pids = np.random.default_rng(args.seed), Tally(), list[int]()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        unbroken: dict[int, tuple[Path, float]] = {}
        while tally.kills < args.kills:
            seed = tally.runs % args.seeds
            arguments = [*RUN, *MORE[seed % len(MORE)], "--seed", str(seed)]
            if seed not in unbroken:
                unbroken[seed] = reference(arguments, Path(name) / f"unbroken{seed}")
                print(f"unbroken run of seed {seed}: {unbroken[seed][1]:.1f} s", flush=True)
            folder = Path(name) / str(tally.runs) / "run"
            folder.parent.mkdir()
            case = Case(arguments, folder, *unbroken[seed], rng, tally, pids)
            case.survive(case.plans(lambda: tally.kills >= args.kills), rival=0.1)
            print(f"{tally.kills:4d} kills, {tally.runs} runs, {tally.attempts} calls", flush=True)
        scratch = sorted(
            {item.name for path in Path(name).glob("*/tmp") for item in path.iterdir()}
        )
    print(f"{tally.kills} kills in {time.monotonic() - began:.0f} s, {tally.runs} runs ended equal")
    print(f"kinds: {dict(tally.kinds)}\nplaces: {dict(tally.places)}")
    print(f"second drivers: {dict(tally.rivals)}")
    print(f"longest life of an orphan: {tally.orphan_s:.2f} s")
    print(f"left in shared memory: {leaked(pids) or 'nothing'}; in the temporary folder: {scratch}")
    return 0


def reference(arguments: Sequence[str], folder: Path) -> tuple[Path, float]:
    """The unbroken run, and its seconds."""
    start = time.monotonic()
    command = [sys.executable, "-m", "foretell", "run", *arguments, "--out", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return folder, time.monotonic() - start


if __name__ == "__main__":
    sys.exit(main())
