"""Protocol P1: how well predictors rank NAS-Bench-201, by number of training rows.

For seed s, `p = default_rng(s).permutation(15625)`: the first 2,000 are the test rows, the next n
the training rows. Score: Kendall tau-b, mean and standard error over the seeds; seconds of CPU for
`fit`, and for `predict` of 2,000 rows. Beside it the best of NASLib's predictors, measured under
the same protocol, and the floors that `gcn` and `auto` are held to; exit code 1 below a floor.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import foretell as ft

NASLIB_BEST = {20: 0.566, 78: 0.588, 172: 0.624, 400: 0.709}  # GPWL; no other is better
FLOORS = {
    "gcn": {20: 0.62, 78: 0.70, 172: 0.76, 400: 0.83},
    "auto": {20: 0.66, 78: 0.74, 172: 0.79, 400: 0.85},
}
TARGET = "cifar10_test_200ep"
SEEDS = "0,1,2,3,4"


def main() -> int:
    """Print the table; 1 if a predictor is below its floor."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictors", default="n-params,gp,rf,xgb,ngb,mlp,gcn,auto")
    parser.add_argument("--sizes", default="20,78,172,400")
    parser.add_argument("--seeds", default=SEEDS)
    parser.add_argument("--target", default=TARGET)
    args = parser.parse_args()
    sizes = [int(n) for n in args.sizes.split(",")]
    seeds = [int(s) for s in args.seeds.split(",")]
    folder = Path(os.environ.get("FORETELL_DATA", default))
    if not (folder / "nb201.csv.gz").exists():
        print(f"skipped: no nb201.csv.gz in {folder} (set FORETELL_DATA)")
        return 0
    space = ft.spaces.get("nb201")
    table = ft.Table.open(folder / "nb201.csv.gz", space=space)
    X, y = table.X, table.query(table.X, args.target)
    print(f"{args.target}, seeds {args.seeds}: Kendall tau ± standard error (fit s, predict s)")
    print(f"{'':14s}" + "".join(f"{f'n = {n}':>26s}" for n in sizes))
    if args.target == TARGET:
        best = [f"{NASLIB_BEST.get(n, np.nan):>10.3f}{'':16s}" for n in sizes]
        print(f"{'NASLib best':14s}" + "".join(best))
    missed = []
    for name in args.predictors.split(","):
        print(f"{name:14s}", end="", flush=True)
        for n in sizes:
            taus, fit_s, predict_s = [], 0.0, 0.0
            for seed in seeds:
                order = np.random.default_rng(seed).permutation(len(X))
                test, train = order[:2000], order[2000 : 2000 + n]
                model = ft.predictors.get(name, space=space, random_state=seed)
                start = time.process_time()
                model.fit(X[train], y[train])
                middle = time.process_time()
                predicted = model.predict(X[test])
                fit_s += (middle - start) / len(seeds)
                predict_s += (time.process_time() - middle) / len(seeds)
                taus.append(ft.metrics.kendall(y[test], predicted))
            mean = float(np.mean(taus))
            error = float(np.std(taus, ddof=1) / np.sqrt(len(taus))) if len(taus) > 1 else 0.0
            print(f"   {mean:.3f}±{error:.3f} ({fit_s:5.2f}, {predict_s:.2f})", end="", flush=True)
            floor = FLOORS.get(name, {}).get(n, -1.0)
            if (args.target, args.seeds) == (TARGET, SEEDS) and mean < floor:
                missed.append(f"{name} at n = {n}: {mean:.3f}, floor {floor}")
        print()
    for line in missed:
        print("below its floor:", line)
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
