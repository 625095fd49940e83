"""How a run scales: two workers against one, and what the driver costs a trial.

Bounds: trials of equal length (real training, one thread each) take 2 workers at most 0.58 of the
time of 1, on two free cores; with simulated trials of 1 s on 64 threads the driver costs at most
5 ms a trial.

    python perf/bench_scale.py [equal] [driver] [profile]      profile: what the driver's time is
"""

from __future__ import annotations

import cProfile
import pstats
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from foretell import Space, choice, spaces, strategies
from foretell.evaluators.base import Evaluator, Result
from foretell.evaluators.trainer import Trainer
from foretell.evaluators.workers import Workers
from foretell.runs.driver import Driver
from foretell.runs.folder import RunFolder
from foretell.runs.journal import Journal
from foretell.runs.plan import Plan
from foretell.training.data import load
from foretell.training.recipe import Recipe

EPOCHS, TRIALS = 30, 16  # some 3 s each
THREADS, SIMULATED, SECONDS = 64, 640, 1.0


class Equal(Space):
    """Networks of one size: they differ in how often each of four like layers is passed."""

    closed_form_costs = False
    order = choice([0, 1, 2, 3], repeat=5)

    def build(self, x, input_shape, n_outputs):  # type: ignore[no-untyped-def]
        order = self.decode(x)["order"]
        blocks = [nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()) for _ in range(4)]
        head = [nn.Conv2d(input_shape[0], 16, 3, padding=1), nn.ReLU()]
        tail = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, n_outputs)]
        return nn.Sequential(*head, *(blocks[i] for i in order), *tail)


@dataclass
class Sleeps(Evaluator):
    """A trial that takes a second of nobody's time."""

    space: Space
    objective = "val_acc"

    def evaluate(self, x, seed=0, **files):  # type: ignore[no-untyped-def]
        time.sleep(SECONDS)
        value = (seed % 1000) / 1000
        curve = [value * i / 10 for i in range(1, 11)]
        return Result({"val_acc": value, "val_loss": 1 - value}, {"val_acc": curve}, SECONDS, seed)


def search(
    folder: Path, evaluator: Any, workers: Workers, trials: int
) -> tuple[float, list[float]]:
    """Seconds of the search alone, and those of each trial."""
    where = RunFolder(folder)
    plan = Plan(strategies.get("random"), 0, trials, trials)
    with where.lock(), Journal(where.journal) as journal, workers:
        where.settle({"seed": 0})
        driver = Driver(where, journal, plan, evaluator, workers, parallel=2)
        start = time.perf_counter()
        driver.search()
        wall = time.perf_counter() - start
        return wall, [trial.result.seconds for trial in driver.ended if trial.result]


def equal(folder: Path) -> bool:
    """Real training with 1 and with 2 workers."""
    data = load("digits").spill(folder / "cache")
    evaluator = Trainer(Equal(), data, Recipe(epochs=EPOCHS))
    walls = {}
    for workers in (1, 2):
        pool = Workers(evaluator, workers=workers)
        wall, seconds = search(folder / str(workers), evaluator, pool, TRIALS)
        walls[workers] = wall
        print(
            f"{workers} workers: {wall:.1f} s for {TRIALS} trainings of {min(seconds):.1f} to "
            f"{max(seconds):.1f} s"
        )
    ratio = walls[2] / walls[1]
    print(f"2 workers / 1 worker: {ratio:.3f} (bound 0.58)")
    return ratio <= 0.58


def driver(folder: Path, profile: bool = False) -> bool:
    """Simulated trials on threads."""
    evaluator = Sleeps(spaces.get("mobile", preset="tiny").with_io((1, 8, 8), 10))
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(time.sleep, [0.01] * THREADS))  # the threads are there
        workers = Workers(evaluator, executor=pool)
        profiler = cProfile.Profile() if profile else None
        if profiler is not None:
            profiler.enable()
        own = time.thread_time()
        wall, _ = search(folder / "driver", evaluator, workers, SIMULATED)
        own = time.thread_time() - own
        if profiler is not None:
            profiler.disable()
            pstats.Stats(profiler).sort_stats("cumulative").print_stats(35)
    ideal = SECONDS * SIMULATED / THREADS
    cost_ms = 1e3 * (wall - ideal) / SIMULATED
    print(
        f"{SIMULATED} trials of {SECONDS:g} s on {THREADS} threads: {wall:.2f} s, ideal "
        f"{ideal:.0f} s: {cost_ms:.2f} ms a trial (bound 5), {1e3 * own / SIMULATED:.2f} ms of "
        "the driver's CPU"
    )
    return cost_ms <= 5


def main() -> int:
    what = sys.argv[1:] or ["equal", "driver"]
    with tempfile.TemporaryDirectory(dir=".") as name:  # not in memory: what fsync costs counts
        met = [equal(Path(name))] if "equal" in what else []
        met += [driver(Path(name), "profile" in what)] if {"driver", "profile"} & set(what) else []
    return int(not all(met))


if __name__ == "__main__":
    sys.exit(main())
