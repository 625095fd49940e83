"""The whole study of predictors: every installed one, 4 sizes, 3 seeds, NAS-Bench-201, 2 workers.

Bound: 90 minutes on the clock with two free cores. The processor seconds of fitting and querying
tell what each predictor takes of that; exit code 1 over the bound, or when a cell failed. Stopped
and started again with the same --out it goes on, and only the rest is timed.

    python perf/bench_study.py [--sizes 400 --seeds 1 --workers 1 --out FOLDER]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from foretell.studies.predictors import run_predictors

BOUND_S = 90 * 60
TARGET = "cifar10_test_200ep"


def main() -> int:
    """Print the time of each predictor; 1 over the bound."""
    shared = Path(__file__).resolve().parents[2] / "shared" / "data"
    default = Path(os.environ.get("FORETELL_DATA", shared))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictors", default="all")
    parser.add_argument("--sizes", default="20,78,172,400")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out")
    parser.add_argument("--data", default=str(default / "nb201.csv.gz"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        study = run_predictors(
            args.data,
            "nb201",
            TARGET,
            args.predictors.split(","),
            [int(n) for n in args.sizes.split(",")],
            args.seeds,
            args.out or folder,
            workers=args.workers,
            on_progress=lambda event: print(event, file=sys.stderr, flush=True),
        )
        wall = time.perf_counter() - start
    spent = {
        p: sum(
            (r.fit_s or 0.0) + (r.query_s or 0.0)
            for r in study.records
            if r.predictor == p and not r.error
        )
        for p in study.names
    }
    for name, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        taus = "  ".join(f"{study.mean(name, n):.3f}" for n in study.sizes)
        print(f"{name:14s} {seconds:8.1f} s   tau {taus}")
    print(
        f"all            {sum(spent.values()):8.1f} s of processor time, {wall:.0f} s on the clock"
    )
    for record in study.failed:
        print(f"failed: {record.predictor}, n = {record.n_train}: {record.error}")
    if wall > BOUND_S:
        print(f"above its bound: {wall:.0f} s, bound {BOUND_S} s")
    return int(wall > BOUND_S or bool(study.failed))


if __name__ == "__main__":
    sys.exit(main())
