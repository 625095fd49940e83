"""Whether intervals of 90 % hold what they say of rows that no fit has seen, of all predictors.

For seed s, `p = default_rng(s).permutation(N)` of a table: the first 2,000 rows are the test rows,
the next n the training rows. A cell is the share of test rows within 1.645 deviations of the
prediction, mean over the seeds. Exit code 1 where a mean is not within .80 to .97. Predictors
without an uncertainty say so and are not in the table.

    python perf/bench_coverage.py [--predictors all] [--tables nb201,nb101,cora] [--sizes 20,78,172]
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

FOLDER = Path(
    os.environ.get("FORETELL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)
TABLES = {
    "nb201": ("nb201.csv.gz", "nb201", "cifar10_test_200ep"),
    "nb101": ("nb101_small.csv.gz", "nb101", "val_acc"),
    "cora": ("nb-graph:cora", None, "val_perf"),
}
LEAST, MOST = 0.80, 0.97


def with_deviations() -> list[str]:
    """Names of those that can be had and have an uncertainty, without the hybrids' evidence."""
    return [
        row.name
        for row in _catalog.KINDS["predictor"]
        if "std" in row.tags
        and "hybrid" not in row.tags
        and all(find_spec(package) for package in row.packages)
    ]


def opened(name: str) -> tuple[ft.Space, np.ndarray, np.ndarray] | None:
    """Space, rows and targets of a table; None where it is not here."""
    file, space, target = TABLES[name]
    if space is None:
        if find_spec("nas_bench_graph") is None:
            return None
        table = ft.Table.open(file)
    elif (FOLDER / file).exists():
        table = ft.Table.open(FOLDER / file, space=ft.spaces.get(space))
    else:
        return None
    return table.space, table.X, table.query(table.X, target)


def main() -> int:
    """A line for each predictor and table; 1 where an interval holds too little or too much."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--predictors", default="all")
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--sizes", default="20,78,172")
    parser.add_argument("--seeds", default="100,101,102")
    args = parser.parse_args()
    names = with_deviations() if args.predictors == "all" else args.predictors.split(",")
    sizes, seeds = ([int(n) for n in text.split(",")] for text in (args.sizes, args.seeds))
    tables = {name: opened(name) for name in args.tables.split(",")}
    for name in [name for name, found in tables.items() if found is None]:
        print(f"{name} skipped: not here (set FORETELL_DATA, or install nas-bench-graph)")
    print(f"{'':16s}{'':8s}" + "".join(f"{f'n = {n}':>9s}" for n in sizes) + "   s of fit at most")
    bad = []
    for name in names:
        for table, found in tables.items():
            if found is None:
                continue
            space, X, y = found
            shares, longest = [], 0.0
            for n in sizes:
                inside = []
                for seed in seeds:
                    p = np.random.default_rng(seed).permutation(len(X))
                    test, train = p[:2000], p[2000 : 2000 + n]
                    model = ft.predictors.get(name, space=space, random_state=seed)
                    start = time.process_time()
                    model.fit(X[train], y[train])
                    longest = max(longest, time.process_time() - start)
                    mean, std = model.predict(X[test], return_std=True)
                    inside.append(ft.metrics.coverage(y[test], mean, std, level=0.9))
                shares.append(float(np.mean(inside)))
                if not LEAST <= shares[-1] <= MOST:
                    bad.append(f"{name} on {table}, n = {n}: {shares[-1]:.3f}")
            cells = "".join(f"{share:9.3f}" for share in shares)
            print(f"{name:16s}{table:8s}{cells}   {longest:.1f}", flush=True)
    print("\n".join(f"OUTSIDE: {line}" for line in bad) or f"all within {LEAST} to {MOST}")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
