"""Whether intervals of 90 % hold what they say of rows that no fit has seen, of all predictors.

For seed s, `p = default_rng(s).permutation(N)` of a table: the first 2,000 rows (of fewer, four
fifths) are the test rows, the next n the training rows. A cell is the share of test rows within
1.645 deviations of the prediction, mean over the seeds. Exit code 1 where a mean is not within .80
to .97. Predictors without an uncertainty say so and are not in the table; hybrids read their
evidence from `digits`, the table that comes with the package, and are measured there alone.

    python perf/bench_coverage.py [--predictors all] [--tables nb201,nb101,cora] [--sizes 20,78,172]
        [--seeds 100,101,102] [--out FILE]

With `--out` every fit is a line of that file, and what stands there is not fitted again: it may be
broken off, and go on with other predictors and seeds. The table printed is of all lines that are
asked for; with `--no-fits`, of all that are there.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import foretell as ft
from foretell import _catalog
from foretell.evaluators.lookup import Lookup
from foretell.evidence import Curve, Evidence, Told

FOLDER = Path(
    os.environ.get("FORETELL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)
TABLES = {
    "nb201": ("nb201.csv.gz", "nb201", "cifar10_test_200ep"),
    "nb101": ("nb101_small.csv.gz", "nb101", "val_acc"),
    "cora": ("nb-graph:cora", None, "val_perf"),
    "digits": ("nb201-digits", None, "val_acc"),
}
LEAST, MOST = 0.80, 0.97


class Fit(NamedTuple):
    """One line of the results."""

    predictor: str
    table: str
    n: int
    seed: int
    share: float = 0.0
    tau: float = 0.0
    fit_s: float = 0.0  # of processor time

    @property
    def key(self) -> tuple[str, str, int, int]:
        """What it is a fit of."""
        return self[:4]


def with_deviations() -> list[str]:
    """Names of those that can be had and have an uncertainty."""
    return [
        row.name
        for row in _catalog.KINDS["predictor"]
        if "std" in row.tags and all(find_spec(package) for package in row.packages)
    ]


def hybrid(name: str) -> bool:
    """Whether it reads evidence."""
    return any(row.name == name and "hybrid" in row.tags for row in _catalog.KINDS["predictor"])


def opened(name: str) -> tuple[ft.Table, np.ndarray] | None:
    """A table and its targets; None where it is not here."""
    file, space, target = TABLES[name]
    if space is None:
        if file.startswith("nb-graph") and find_spec("nas_bench_graph") is None:
            return None
        table = ft.Table.open(file)
    elif (FOLDER / file).exists():
        table = ft.Table.open(FOLDER / file, space=ft.spaces.get(space))
    else:
        return None
    return table, table.query(table.X, target)


def told(table: ft.Table) -> tuple[Evidence, ...]:
    """The evidence of a hybrid: a score of the untrained network and the start of a curve."""
    return (Told("jacob-cov", table), Curve("sotl-e", Lookup(table, "val_acc"), 3))


def fitted(name: str, place: str, table: ft.Table, y: np.ndarray, n: int, seed: int) -> Fit:
    """The share of unseen rows inside, and what it took."""
    p = np.random.default_rng(seed).permutation(len(y))
    count = min(2000, len(y) * 4 // 5)
    test, train = p[:count], p[count : count + n]
    settings = {"evidence": told(table)} if hybrid(name) else {}
    model = ft.predictors.get(name, space=table.space, random_state=seed, **settings)
    start = time.process_time()
    model.fit(table.X[train], y[train])
    fit_s = time.process_time() - start
    mean, std = model.predict(table.X[test], return_std=True)
    share = ft.metrics.coverage(y[test], mean, std, level=0.9)
    return Fit(name, place, n, seed, share, ft.metrics.kendall(y[test], mean), fit_s)


def read(out: Path | None) -> dict[tuple[str, str, int, int], Fit]:
    """The lines of a file of results."""
    if out is None or not out.exists():
        return {}
    with out.open(newline="") as file:
        lines = [
            Fit(a, b, int(n), int(seed), *map(float, rest))
            for a, b, n, seed, *rest in list(csv.reader(file))[1:]
        ]
    return {line.key: line for line in lines}


def report(fits: list[Fit], tables: list[str], sizes: list[int]) -> list[str]:
    """Prints a row for each predictor; says what lies outside."""
    bad = []
    print("\n| predictor | " + " | ".join(f"{t}: {sizes}"[:-1].replace("[", "") for t in tables)
          + " | seeds | s of fit at most |")  # fmt: skip
    print("|---|" + "---|" * (len(tables) + 2))
    for name in dict.fromkeys(fit.predictor for fit in fits):
        cells, seeds, longest = [], set(), 0.0
        for table in tables:
            shares = []
            for n in sizes:
                found = [f for f in fits if (f.predictor, f.table, f.n) == (name, table, n)]
                if not found:
                    shares.append("-")
                    continue
                mean = float(np.mean([fit.share for fit in found]))
                seeds.add(len(found))
                longest = max(longest, *(fit.fit_s for fit in found))
                shares.append(f"{mean:.3f}".lstrip("0"))
                if not LEAST <= mean <= MOST:
                    bad.append(f"{name} on {table}, n = {n}: {mean:.3f}")
            cells.append(" ".join(shares))
        count = "-".join(str(one) for one in sorted({min(seeds), max(seeds)}))
        print(f"| {name} | " + " | ".join(cells) + f" | {count} | {longest:.1f} |")
    return bad


def main() -> int:
    """A line for each predictor and table; 1 where an interval holds too little or too much."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--predictors", default="all")
    parser.add_argument("--tables", default="nb201,nb101,cora")
    parser.add_argument("--sizes", default="20,78,172")
    parser.add_argument("--seeds", default="100,101,102")
    parser.add_argument("--out", type=Path, help="lines of earlier fits, and of these")
    parser.add_argument("--no-fits", action="store_true", help="print what stands in --out")
    args = parser.parse_args()
    names = with_deviations() if args.predictors == "all" else args.predictors.split(",")
    sizes, seeds = ([int(n) for n in text.split(",")] for text in (args.sizes, args.seeds))
    tables, fits = args.tables.split(","), read(args.out)
    asked = [
        Fit(name, table, n, seed)
        for name in names
        for table in tables
        for n in sizes
        for seed in seeds
        if table == "digits" or not hybrid(name)
    ]
    if args.no_fits:
        order = {name: at for at, name in enumerate(names)}
        there = [fit for fit in fits.values() if fit.predictor in order and fit.table in tables]
        shown = sorted(there, key=lambda fit: order[fit.predictor])
    else:
        opens = {name: opened(name) for name in tables}
        for name in [name for name, found in opens.items() if found is None]:
            print(f"{name} skipped: not here (set FORETELL_DATA, or install nas-bench-graph)")
        with tempfile.TemporaryDirectory() as ledger, ft.evidence.ledger(ledger):
            for one in asked:
                found = opens[one.table]
                if found is None or one.key in fits:
                    continue
                fits[one.key] = fitted(one.predictor, one.table, *found, one.n, one.seed)
                done = fits[one.key]
                print(*done[:4], *(f"{value:.3f}" for value in done[4:]), flush=True)
                if args.out is not None:
                    new = not args.out.exists()
                    with args.out.open("a", newline="") as file:
                        csv.writer(file).writerows([Fit._fields, done] if new else [done])
        shown = [fits[one.key] for one in asked if one.key in fits]
    bad = report(shown, tables, sizes)
    print("\n".join(f"OUTSIDE: {line}" for line in bad) or f"all within {LEAST} to {MOST}")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
