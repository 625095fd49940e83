"""What Ray costs a trial: 64 simulated workers, trials of one second, nothing else to do.

    python perf/bench_ray.py [--workers 64] [--rounds 5] [--seconds 1.0]

Prints the wall time of `workers * rounds` trials of equal length that do nothing but wait, the
ideal (rounds * seconds), and the overhead a trial; the same for as many threads, as a bound. All
runs begin when the worker processes are there: starting them is measured apart.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import ray

import foretell as ft
from foretell.evaluators.base import Evaluator, Job, Result
from foretell.evaluators.executors.ray import RayExecutor
from foretell.evaluators.workers import Workers


@dataclass
class Waiting(Evaluator):
    """Waits; the worker is the only thing that a trial takes."""

    seconds: float
    objective = "val_acc"
    space = ft.Space.from_choices({"id": range(10_000)}, build=lambda *_: None)

    def evaluate(self, x: np.ndarray, seed: int = 0, **_: object) -> Result:
        time.sleep(self.seconds)
        return Result({"val_acc": float(x[0]), "pid": float(os.getpid())}, seed=seed)


def run(pool: Workers, n: int) -> dict[int, float]:
    """The process in which each trial ran."""
    todo = (Job(i, np.array([i]), seed=i) for i in range(n))
    return {job.id: result.metrics["pid"] for job, result in pool.run(todo) if result.ok}


def measure(executor: Executor, workers: int, rounds: int, seconds: float) -> dict[str, float]:
    n = workers * rounds
    with Workers(Waiting(seconds), executor=executor) as pool:
        started = time.perf_counter()
        for _ in range(60):  # until every worker is there and has imported what it needs
            places = set(run(pool, workers).values())
            if len(places) >= workers or isinstance(executor, ThreadPoolExecutor):
                break
        start = time.perf_counter() - started
        started, driver = time.perf_counter(), time.process_time()
        done = run(pool, n)
        wall, driver = time.perf_counter() - started, time.process_time() - driver
    if sorted(done) != list(range(n)):
        raise SystemExit("trials were lost")
    return {
        "trials": n,
        "processes": len(places),
        "start_s": round(start, 2),
        "wall_s": round(wall, 2),
        "ideal_s": rounds * seconds,
        "overhead_ms": round(1000 * (wall - rounds * seconds) / n, 2),
        "driver_cpu_ms": round(1000 * driver / n, 2),
        "load": os.getloadavg()[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    args = parser.parse_args()
    arguments = (args.workers, args.rounds, args.seconds)
    with ThreadPoolExecutor(args.workers) as executor:
        print(json.dumps({"executor": "threads", **measure(executor, *arguments)}), flush=True)
    # as many CPUs as workers are said to be here: beyond them Ray ends processes that are idle
    ray.init(
        address="local", num_cpus=args.workers, include_dashboard=False, log_to_driver=False,
        logging_level=logging.ERROR,
    )  # fmt: skip
    with RayExecutor() as executor:
        print(json.dumps({"executor": "ray", **measure(executor, *arguments)}), flush=True)
    ray.shutdown()


if __name__ == "__main__":
    main()
