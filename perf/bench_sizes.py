"""What sizes among the features bring, and whether the evidence of `gp` foresees it.

`auto` gives sizes to its candidates where the log evidence of `gp` rises by more than ln(n) / 2
with them. For seed s, `p = default_rng(s).permutation(N)`: the first 2,000 rows are the test rows,
the next n the training rows. Printed for each table: how often the rise was above that price, and
what sizes changed in the Kendall tau-b of `gp` and `bayes-lin` on the test rows, mean and standard
error where the rise was above and where it was below. Seeds from 140, which no other figure has.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import foretell as ft
from foretell.predictors.parts.features import FEATURES

GRAPHS = ("cora", "citeseer", "pubmed", "cs", "physics", "photo", "computers", "arxiv", "proteins")
FILES = {
    "nb201": ("nb201.csv.gz", "cifar10_test_200ep"),
    "nb101": ("nb101_small.csv.gz", "val_acc"),
}
PREDICTORS = ("gp", "bayes-lin")
HEAD = "rise of the evidence      above the price: times, tau    below: times, tau"


def main() -> int:
    """Print a line for each table, and one for all."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", default=",".join((*GRAPHS, *FILES)))
    parser.add_argument("--n", type=int, default=50, help="training rows")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--price", type=float, help="ln(n) / 2 by default")
    args = parser.parse_args()
    price = 0.5 * np.log(args.n) if args.price is None else args.price
    folder = Path(os.environ.get("FORETELL_DATA", default))
    print(f"{'n = ' + str(args.n):10s}  {HEAD}", flush=True)
    every = []
    for name in args.tables.split(","):
        if name in GRAPHS:
            table, target = ft.Table.open(f"nb-graph:{name}"), "val_perf"
        elif (folder / FILES[name][0]).exists():
            file, target = FILES[name]
            table = ft.Table.open(folder / file, space=ft.spaces.get(name))
        else:
            print(f"{name:10s}  skipped: no {FILES[name][0]} in {folder} (set FORETELL_DATA)")
            continue
        X, y = table.X, table.query(table.X, target)
        found = [_one(table.space, X, y, args.n, seed) for seed in range(140, 140 + args.seeds)]
        every += found
        _tell(name, np.array(found), price)
    if every:
        _tell("all", np.array(every), price)
    return 0


def _one(space: ft.Space, X: np.ndarray, y: np.ndarray, n: int, seed: int) -> tuple[float, float]:
    """By how much sizes raise the log evidence, and the mean tau on the test rows."""
    order = np.random.default_rng(seed).permutation(len(X))
    test, train = order[:2000], order[2000 : 2000 + n]
    taus, evidence = np.zeros((2, len(PREDICTORS))), np.zeros(2)
    for i, encoding in enumerate((FEATURES, (*FEATURES, "size"))):
        for j, name in enumerate(PREDICTORS):
            model = ft.predictors.get(name, space=space, encoding=encoding, random_state=seed)
            model.fit(X[train], y[train])
            taus[i, j] = ft.metrics.kendall(y[test], model.predict(X[test]))
            if name == "gp":
                evidence[i] = -model.loss_
    return float(evidence[1] - evidence[0]), float((taus[1] - taus[0]).mean())


def _tell(name: str, found: np.ndarray, price: float) -> None:
    rise, change = found.T
    above = rise > price
    spread = f"{rise.min():+.1f} .. {np.median(rise):+.1f} .. {rise.max():+.1f}"
    print(f"{name:10s}  {spread:26s}{_mean(change[above]):31s}{_mean(change[~above])}", flush=True)


def _mean(change: np.ndarray) -> str:
    if len(change) < 2:
        return f"{len(change):3d}" + "".join(f"  {one:+.3f}" for one in change)
    error = change.std(ddof=1) / np.sqrt(len(change))
    return f"{len(change):3d}  {change.mean():+.3f} ± {error:.3f}"


if __name__ == "__main__":
    sys.exit(main())
