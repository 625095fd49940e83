"""How far `auto` is from the best single predictor, on three kinds of tables.

For seed s, `p = default_rng(s).permutation(N)`: the first 2,000 rows are the test rows, the next n
the training rows (protocol P1 on every table). Score: Kendall tau-b on the test rows. The best
single predictor is the one with the highest mean over the seeds, chosen after the fact on the test
rows, which flatters it; the difference is paired by seed, with its standard error. Exit code 1
where `auto` is more than 0.01 below.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import foretell as ft
from foretell import _catalog

SETTINGS = {
    "nb201": ("nb201.csv.gz", "nb201", "cifar10_test_200ep", (78, 172, 400)),
    "nb101": ("nb101_small.csv.gz", "nb101", "val_acc", (78, 172)),
    "cora": ("nb-graph:cora", None, "val_perf", (50, 100, 400)),
    "arxiv": ("nb-graph:arxiv", None, "val_perf", (50, 100, 400)),
}
BELOW = 0.01  # what `auto` may lack


def singles() -> list[str]:
    """All of the catalog that can be had, without `auto` and the baselines."""
    rows = [
        row
        for row in _catalog.KINDS["predictor"]
        if row.name != "auto" and "baseline" not in row.tags
    ]
    return [row.name for row in rows if all(find_spec(package) for package in row.packages)]


def main() -> int:
    """Print a line for each table and number of training rows; 1 if `auto` lacks too much."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", default=",".join(SETTINGS))
    parser.add_argument("--sizes", default="", help="of the training set; all by default")
    parser.add_argument("--singles", default=",".join(singles()))
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--budget", type=float, default=None, help="budget_s of auto")
    args = parser.parse_args()
    seeds = [int(s) for s in args.seeds.split(",")]
    names = ["auto", *args.singles.split(",")]
    folder = Path(os.environ.get("FORETELL_DATA", default))
    print(
        f"{'':10s}{'n':>5s}  {'auto':14s}{'fit s':>6s}  {'best single':28s}auto - best", flush=True
    )
    lacking = 0
    for table_name in args.tables.split(","):
        file, space_name, target, sizes = SETTINGS[table_name]
        if space_name and not (folder / file).exists():
            print(f"{table_name:10s} skipped: no {file} in {folder} (set FORETELL_DATA)")
            continue
        if space_name:
            table = ft.Table.open(folder / file, space=ft.spaces.get(space_name))
        else:
            table = ft.Table.open(file)
        X, y = table.X, table.query(table.X, target)
        for n in sizes:
            if args.sizes and str(n) not in args.sizes.split(","):
                continue
            taus = np.zeros((len(names), len(seeds)))
            fit_s = 0.0
            for j, seed in enumerate(seeds):
                order = np.random.default_rng(seed).permutation(len(X))
                test, train = order[:2000], order[2000 : 2000 + n]
                for i, name in enumerate(names):
                    settings = {"budget_s": args.budget} if name == "auto" else {}
                    model = ft.predictors.get(
                        name, space=table.space, random_state=seed, **settings
                    )
                    start = time.process_time()
                    model.fit(X[train], y[train])
                    fit_s += (time.process_time() - start) / len(seeds) * (name == "auto")
                    taus[i, j] = ft.metrics.kendall(y[test], model.predict(X[test]))
            best = 1 + int(taus[1:].mean(axis=1).argmax())
            gap = taus[0] - taus[best]
            lacking += gap.mean() < -BELOW
            single = f"{names[best]} {_mean(taus[best])}"
            print(f"{table_name:10s}{n:5d}  {_mean(taus[0]):14s}{fit_s:6.1f}  {single:28s}", end="")
            print(f"{gap.mean():+.3f}±{_error(gap):.3f}", flush=True)
    if lacking:
        print(f"auto is more than {BELOW} below the best single predictor in {lacking} settings")
    return int(lacking > 0)


def _mean(taus: np.ndarray) -> str:
    return f"{taus.mean():.3f}±{_error(taus):.3f}"


def _error(values: np.ndarray) -> float:
    """Standard error of the mean."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


if __name__ == "__main__":
    sys.exit(main())
