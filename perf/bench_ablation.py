"""What each part of a predictor brings, under protocol P1: Kendall tau, mean over five seeds.

The graph network `gcn` with one part taken out or added at a time, and a Gaussian process on what
was learnt without targets, with and without counted features. Paired differences to the whole, with
the standard error over the seeds.

    python perf/bench_ablation.py [--sizes 78,172,400] [--seeds 0,1,2,3,4]
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import foretell as ft
from foretell.predictors import Predictor
from foretell.predictors.parts.features import COUNTED, FEATURES
from foretell.spaces import nb201
from foretell.spaces.base import Rows


class Raw(nb201.NB201):
    """The space with dead ends left in its graphs: operations that reach no output, or no input."""

    def graphs(self, X: Rows) -> ft.spaces.Graphs:
        ops = np.ones((len(X), 8), dtype=np.int8)
        ops[:, 0] = 0
        ops[:, 1:7] = np.where(X == nb201.NONE, -1, X.astype(np.int8) + 1)
        every = nb201.NB201().graphs(np.full((1, 6), nb201.SKIP)).adjacency
        there = ops >= 0
        return ft.spaces.Graphs(ops, every & there[:, :, None] & there[:, None, :])


PARTS: dict[str, tuple[str, dict[str, Any]]] = {
    "gcn": ("gcn", {}),
    "  dead operations left in": ("gcn", {"space": Raw()}),
    "  without counted features": ("gcn", {"encoding": None}),
    "  statistics of paths alone": ("gcn", {"encoding": "graph-stats"}),
    "  with sizes beside": ("gcn", {"encoding": (*COUNTED, "size")}),
    "  decisions as they stand beside": ("gcn", {"encoding": FEATURES}),
    "  squared error of ranks": ("gcn", {"loss": "mse", "target": "rank"}),
    "  squared error of accuracies": ("gcn", {"loss": "mse", "target": "value"}),
    "  hinge instead of logistic loss": ("gcn", {"loss": "hinge"}),
    "  a single network": ("gcn", {"members": 1}),
    "  a network that compares two": ("ranker", {"members": 4}),
    "gp, statistics of paths": ("gp", {"encoding": "graph-stats"}),
    "  edges and depths beside": ("gp", {"encoding": COUNTED}),
    "  pretrained arch2vec instead": ("gp", {"encoding": "arch2vec"}),
    "  pretrained arch2vec beside": ("gp", {"encoding": ("graph-stats", "arch2vec")}),
    "  pretrained cate beside": ("gp", {"encoding": ("graph-stats", "cate")}),
}
TARGET = "cifar10_test_200ep"


def main() -> int:
    """Print the table."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="78,172,400")
    parser.add_argument("--seeds", default="0,1,2,3,4")
    args = parser.parse_args()
    sizes, seeds = ([int(n) for n in text.split(",")] for text in (args.sizes, args.seeds))
    path = Path(os.environ.get("FORETELL_DATA", default)) / "nb201.csv.gz"
    if not path.exists():
        print(f"skipped: no {path} (set FORETELL_DATA)")
        return 0
    space = ft.spaces.get("nb201")
    table = ft.Table.open(path, space=space)
    X, y = table.X, table.query(table.X, TARGET)
    print(f"Kendall tau over {len(seeds)} seeds; difference to the whole ± standard error")
    print(f"{'':32s}" + "".join(f"{f'n = {n}':>24s}" for n in sizes))
    whole = np.zeros((len(sizes), len(seeds)))
    for title, (name, settings) in PARTS.items():
        taus = np.zeros((len(sizes), len(seeds)))
        for i, n in enumerate(sizes):
            for j, seed in enumerate(seeds):
                order = np.random.default_rng(seed).permutation(len(X))
                test, train = order[:2000], order[2000 : 2000 + n]
                model: Predictor = ft.predictors.get(
                    name, **{"space": space, "random_state": seed, **settings}
                )
                predicted = model.fit(X[train], y[train]).predict(X[test])
                taus[i, j] = ft.metrics.kendall(y[test], predicted)
        if not title.startswith(" "):
            whole = taus
        line = f"{title:32s}"
        for mine, full in zip(taus, whole, strict=True):
            gap = mine - full
            error = gap.std(ddof=1) / np.sqrt(len(gap)) if len(gap) > 1 else 0.0
            cell = f"{mine.mean():.3f}" + (
                f" ({gap.mean():+.3f} ± {error:.3f})" if gap.any() else ""
            )
            line += f"{cell:>24s}"
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
