"""Protocol P1: how well predictors rank NAS-Bench-201, by number of training rows.

For seed s, `p = default_rng(s).permutation(15625)`: the first 2,000 are the test rows, the next n
the training rows. Score: Kendall tau-b, mean and standard error over the seeds; seconds of CPU for
`fit`, and for `predict` of 2,000 rows. Beside it NASLib's predictor of the same method, measured
under the same protocol on one thread with its defaults (commit 0b51bc18; some on 3 seeds). Exit
code 1 below NASLib by more than a standard error, or below a floor that a predictor is held to.
`--paper` takes the settings of the study, where a predictor has them: like for like.
`--table nb101` has the 30,001 graphs of NAS-Bench-101 with 108 epochs (protocol P3): 10,000 test
rows, published .709 / .765 / .809 on the whole space after 85, 172, 424 (NN-Former, 2025).
`--encoding path` gives predictors that read an encoding another one than their own.

    python perf/bench_predictors.py [--predictors all] [--sizes 78,172,400] [--workers 2] [--paper]
"""

from __future__ import annotations

import argparse
import inspect
import os
import sys
import time
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from loky import get_reusable_executor

import foretell as ft
from foretell import _catalog

# tau at n, CPU seconds of fit at n = 400 and of a query of 2,000 rows
NASLIB = {
    "gp-wl": ({20: 0.566, 78: 0.588, 172: 0.624, 400: 0.709}, 9.6, 38.5),
    "seminas": ({20: 0.534, 78: 0.540, 172: 0.593, 400: 0.663}, 152, 0.41),
    "xgb": ({20: 0.268, 78: 0.449, 172: 0.538, 400: 0.640}, 0.04, 0.01),
    "rf": ({20: 0.331, 78: 0.470, 172: 0.529, 400: 0.625}, 0.09, 0.02),
    "gcn": ({20: 0.579, 78: 0.530, 172: 0.623, 400: 0.623}, 63, 0.15),
    "var-sparse-gp": ({20: 0.413, 78: 0.515, 172: 0.564, 400: 0.594}, 0.82, 0.16),
    "lgb": ({20: 0.220, 78: 0.399, 172: 0.461, 400: 0.592}, 0.18, 0.06),
    "dngo": ({20: 0.208, 78: 0.533, 172: 0.561, 400: 0.577}, 38, 0.26),
    "gp": ({20: 0.277, 78: 0.425, 172: 0.436, 400: 0.567}, 3.3, 0.22),
    "ngb": ({20: 0.258, 78: 0.387, 172: 0.463, 400: 0.561}, 2.6, 0.25),
    "nao": ({20: 0.455, 78: 0.507, 172: 0.503, 400: 0.543}, 14, 0.39),
    "bohamiann": ({20: 0.221, 78: 0.414, 172: 0.428, 400: 0.510}, 0.22, 0.03),
    "bananas": ({20: 0.138, 78: 0.235, 172: 0.341, 400: 0.498}, 62, 0.06),
    "bonas": ({20: 0.411, 78: 0.420, 172: 0.352, 400: 0.493}, 2.9, 0.10),
    "mlp": ({20: 0.145, 78: 0.222, 172: 0.351, 400: 0.486}, 20, 0.14),
    "sparse-gp": ({20: 0.327, 78: 0.392, 172: 0.410, 400: 0.480}, 0.62, 0.17),
    "bayes-lin": ({20: 0.178, 78: 0.336, 172: 0.326, 400: 0.470}, 0.03, 0.01),
}
FLOORS = {
    "gcn": {20: 0.62, 78: 0.80, 172: 0.84, 400: 0.88},
    "ranker": {78: 0.80, 172: 0.85, 400: 0.88},
    "auto": {20: 0.66, 78: 0.79, 172: 0.84, 400: 0.87},
}
TARGET = "cifar10_test_200ep"
NOBODY: tuple[dict[int, float], float, float] = ({}, np.nan, np.nan)
TABLES = {  # file, target, test rows, training sizes
    "nb201": ("nb201.csv.gz", TARGET, 2_000, "20,78,172,400"),
    "nb101": ("nb101_val_4_12_36_108.csv.gz", "val_108ep", 10_000, "85,172,424"),
}


def measure(
    name: str,
    sizes: list[int],
    seeds: list[int],
    table: str,
    path: Path,
    target: str,
    paper: bool,
    more: dict[str, str],
) -> np.ndarray:
    """Tau, fit and query seconds, (sizes, seeds, 3)."""
    kind = _catalog.row("predictor", name).load()
    make = kind.paper if paper else kind
    space, n_test = ft.spaces.get(table), TABLES[table][2]
    known = ft.Table.open(path, space=space)
    X, y = known.X, known.query(known.X, target)
    found = np.zeros((len(sizes), len(seeds), 3))
    for i, n in enumerate(sizes):
        for j, seed in enumerate(seeds):
            order = np.random.default_rng(seed).permutation(len(X))
            test, train = order[:n_test], order[n_test : n_test + n]
            model = make(space=space, random_state=seed, **more)
            start = time.process_time()
            model.fit(X[train], y[train])
            middle = time.process_time()
            predicted = model.predict(X[test])
            end = time.process_time()
            found[i, j] = ft.metrics.kendall(y[test], predicted), middle - start, end - middle
    return found


def main() -> int:
    """Print the table; 1 if a predictor is worse than NASLib's or below its floor."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictors", default="all")
    parser.add_argument("--table", choices=TABLES, default="nb201")
    parser.add_argument("--sizes")
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--target")
    parser.add_argument("--workers", type=int, default=1, help="predictors measured side by side")
    parser.add_argument("--paper", action="store_true", help="the settings of the study")
    parser.add_argument("--encoding", help="of predictors that read one, instead of their own")
    args = parser.parse_args()
    file, target, n_test, known = TABLES[args.table]
    args.target, args.sizes = args.target or target, args.sizes or known
    sizes, seeds = ([int(n) for n in text.split(",")] for text in (args.sizes, args.seeds))
    names = ft.predictors.names() if args.predictors == "all" else args.predictors.split(",")
    if args.paper:
        names = [name for name in names if hasattr(_catalog.row("predictor", name).load(), "paper")]
    more = {"encoding": args.encoding} if args.encoding else {}
    if more:
        kinds = {name: _catalog.row("predictor", name).load() for name in names}
        names = [name for name in names if "encoding" in inspect.signature(kinds[name]).parameters]
    path = Path(os.environ.get("FORETELL_DATA", default)) / file
    if not path.exists():
        print(f"skipped: no {path} (set FORETELL_DATA)")
        return 0
    peers = " (NASLib's in brackets)" if args.table == "nb201" else ""
    print(f"{args.table}, {args.target}, seeds {args.seeds}: Kendall tau ± standard error{peers};")
    print(f"CPU seconds of fit + query of {n_test:,} rows at n = {sizes[-1]}{peers}")
    print(f"{'':14s}" + "".join(f"{f'n = {n}':>21s}" for n in sizes) + f"{'seconds':>24s}")
    one = partial(
        measure,
        sizes=sizes,
        seeds=seeds,
        table=args.table,
        path=path,
        target=args.target,
        paper=args.paper,
        more=more,
    )
    run = map(one, names)
    if args.workers > 1:
        run = get_reusable_executor(max_workers=args.workers).map(one, names)
    bad = []
    for name, found in zip(names, run, strict=True):
        taus, fit_s, query_s = NASLIB.get(name, NOBODY) if peers else NOBODY
        line = f"{name:14s}"
        for n, tau in zip(sizes, found[:, :, 0], strict=True):
            mean = float(tau.mean())
            error = float(tau.std(ddof=1) / np.sqrt(len(tau))) if len(tau) > 1 else 0.0
            peer = f"({taus[n]:.3f})" if n in taus else ""
            line += f"{mean:7.3f} ± {error:.3f} {peer:7s}"
            if peers and args.target == TARGET and not (args.paper or more):
                for what, least in (
                    ("NASLib's", taus.get(n, -1.0) - error),
                    ("its floor", FLOORS.get(name, {}).get(n, -1.0)),
                ):
                    if mean < least:
                        bad.append(f"{name} at n = {n}: {mean:.3f}, below {what} {least:.3f}")
        fit, query = found[-1, :, 1:].mean(axis=0)
        peer = f"({fit_s:g} + {query_s:g})" if taus else ""
        slow = " slower" if taus and sizes[-1] == 400 and fit + query > fit_s + query_s else ""
        print(f"{line}{fit:8.2f} + {query:.2f} {peer}{slow}", flush=True)
    for text in bad:
        print("FAILED:", text)
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
