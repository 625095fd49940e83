"""What prior knowledge brings with few results, on real trainings (`train_mobile.py`).

Of each set's networks n = 6, 10, 24 random ones are known, and a predictor ranks the others.
Printed are the mean validation accuracy of its best four less that of all others (mean and standard
error over the resamplings), and Kendall's tau on the others. Last the tau between the first and the
second training of those networks that have two: what the noise of a training allows.

    python perf/bench_prior.py [--draws 30] [--predictors auto,prior,n-params,gp]
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import foretell as ft
from foretell.predictors.parts.prior import Prior

TABLE = Path(__file__).with_name("mobile_trainings.csv")
SHAPES = {
    "flowers": ((3, 16, 16), 17),
    "cifar10": ((3, 16, 16), 10),
    "mnist": ((1, 14, 14), 10),
}
FEWEST = 40  # networks of a set


def main() -> int:
    """A line for each set, number of results and predictor."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--draws", type=int, default=30)
    parser.add_argument("--predictors", default="auto,prior,n-params,gp")
    args = parser.parse_args()
    with TABLE.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    for name, (shape, outputs) in SHAPES.items():
        space = ft.spaces.get("mobile", input_shape=shape, n_outputs=outputs)
        first = {
            r["arch"]: float(r["val_acc"]) for r in rows if (r["set"], r["seed"]) == (name, "0")
        }
        again = {
            r["arch"]: float(r["val_acc"]) for r in rows if (r["set"], r["seed"]) == (name, "1")
        }
        if len(first) < FEWEST:
            print(f"{name}: {len(first)} networks are trained, too few")
            continue
        X, y = space.from_str(list(first)), np.array(list(first.values()))
        for n in (6, 10, 24):
            for kind in args.predictors.split(","):
                found = np.array([one(space, kind, X, y, n, draw) for draw in range(args.draws)])
                (gain, tau), error = found.mean(axis=0), found.std(axis=0) / np.sqrt(args.draws)
                print(f"{name:8s} n = {n:2d} {kind:9s} best four {100 * gain:+.2f}", end="")
                print(f" ± {100 * error[0]:.2f} points, tau {tau:.3f} ± {error[1]:.3f}", flush=True)
        both = [arch for arch in again if arch in first]
        if len(both) > 5:
            noise = ft.metrics.kendall([first[a] for a in both], [again[a] for a in both])
            print(f"{name:8s} two trainings of {len(both)} networks: tau {noise:.3f}")
    return 0


def one(space: Any, kind: str, X: Any, y: np.ndarray, n: int, draw: int) -> tuple[float, float]:
    """How much better the best four are than the mean of the others, and tau, of one resampling."""
    order = np.random.default_rng(draw).permutation(len(X))
    known, others = order[:n], order[n:]
    model: Any
    if kind == "prior":
        model = Prior(space)
    else:
        model = ft.predictors.get(kind, space=space, random_state=draw)
    predicted = model.fit(X[known], y[known]).predict(X[others])
    best = others[np.argsort(-predicted, kind="stable")[:4]]
    return float(y[best].mean() - y[others].mean()), ft.metrics.kendall(y[others], predicted)


if __name__ == "__main__":
    sys.exit(main())
