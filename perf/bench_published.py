"""Our predictors beside published figures on NAS-Bench-201, at their sample sizes.

Two protocols. FLAN and TA-GATES: half of the space is the pool of training rows, the other 7,813
rows are the test set; 0.1, 0.5 and 1 % of the pool are known. PINAT: the score is over the whole
space. Published labels are validation accuracies after 200 epochs (PINAT tests on test accuracy);
the table at hand has none, so ours are `cifar10_test_200ep`, the mean over seeds, for both: less
noise, hence higher correlations. And ours are the defaults, with ranks, pairs and counted features
(decision 0006); `--paper` takes the papers' settings, which are slow: NAR-Former's 4,000 epochs on
781 rows are five hours of a core. `--epochs` changes their number; 1,000 are those of NAO's paper,
whose `paper()` has the 50 of a later study.

    python perf/bench_published.py [--paper [--epochs 1000]] [--sizes 8,40,78]
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
from foretell import _catalog

HALF = {  # FLAN (Akhauri & Abdelfattah 2024) and TA-GATES (Ning et al. 2022)
    "gcn": {8: 0.246, 40: 0.311, 78: 0.408},
    "gates": {8: 0.430, 40: 0.670, 78: 0.757},
    "ta-gates": {8: 0.538, 40: 0.670, 78: 0.773},
    "flan": {8: 0.486, 40: 0.706, 78: 0.782},
}
WHOLE = {  # PINAT (Lu et al. 2023), table 1; NAR-Former (Yi et al. 2023)
    "gcn": {78: 0.343, 156: 0.413, 469: 0.584, 781: 0.634},
    "nao": {78: 0.467, 156: 0.493, 469: 0.470, 781: 0.522},
    "arch2vec": {78: 0.542, 156: 0.573, 469: 0.601, 781: 0.606},
    "pinat": {78: 0.549, 156: 0.631, 469: 0.706, 781: 0.761},
    "nar-former": {781: 0.849},
}
TARGET = "cifar10_test_200ep"


def main() -> int:
    """Print both tables."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--paper", action="store_true")
    parser.add_argument("--epochs", type=int, help="of each predictor, instead of its own")
    parser.add_argument("--sizes", default="8,40,78,156,469,781")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--predictors", default=",".join({**HALF, **WHOLE}))
    args = parser.parse_args()
    changes = {"epochs": args.epochs} if args.epochs else {}
    path = Path(os.environ.get("FORETELL_DATA", default)) / "nb201.csv.gz"
    if not path.exists():
        print(f"skipped: no {path} (set FORETELL_DATA)")
        return 0
    space = ft.spaces.get("nb201")
    table = ft.Table.open(path, space=space)
    X, y = table.X, table.query(table.X, TARGET)
    asked = {int(n) for n in args.sizes.split(",")}
    seeds = [int(s) for s in args.seeds.split(",")]
    for title, published, half in (
        ("half of the space unseen", HALF, True),
        ("whole space", WHOLE, False),
    ):
        print(f"{title}: Kendall tau ± standard error, published in brackets; CPU s of a fit")
        for name in args.predictors.split(","):
            for n in sorted(asked & set(published.get(name, {}))):
                taus, start = [], time.process_time()
                for seed in seeds:
                    order = np.random.default_rng(seed).permutation(len(X))
                    test = order[-7813:] if half else slice(None)
                    kind = _catalog.row("predictor", name).load()
                    make = kind.paper if args.paper else kind
                    model = make(space=space, random_state=seed, **changes)
                    model.fit(X[order[:n]], y[order[:n]])
                    taus.append(ft.metrics.kendall(y[test], model.predict(X[test])))
                error = np.std(taus, ddof=1) / np.sqrt(len(taus)) if len(taus) > 1 else 0.0
                seconds = (time.process_time() - start) / len(seeds)
                print(
                    f"  {name:12s} n = {n:4d}  {np.mean(taus):.3f} ± {error:.3f} "
                    f"({published[name][n]:.3f})  {seconds:6.1f} s",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
