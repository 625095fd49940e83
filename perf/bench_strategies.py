"""What a strategy costs beside the networks: seconds of `propose` on NAS-Bench-201, 200 results.

Every strategy of the catalog with its default settings is asked for the rows that it wants next, on
one core; names as arguments ask these alone. Bound: random search, evolution and local search
together run 1,000 evaluations each in under 1 s.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np

import foretell as ft
from foretell import _catalog
from foretell._rng import stream
from foretell.search.history import History

SPACE = ft.spaces.get("nb201")
DATA = Path(os.environ.get("FORETELL_DATA", Path(__file__).resolve().parents[2] / "shared/data"))
KNOWN = 200
PLAIN = ("random", "regularized-evolution", "local-search")


def main() -> int:
    """A table of seconds, and the bound of the plain ones."""
    X = SPACE.sample(3 * KNOWN, stream(0, "rows"))
    X = X[np.sort(np.unique(SPACE.canonical(X), return_index=True)[1])][:KNOWN]
    path = DATA / "nb201.csv.gz"
    if path.exists():
        y = ft.Table.open(path, space=SPACE).query(X, "cifar10_val_12ep")
    else:
        print(f"no {path}: made-up values")
        y = (X == 3).sum(axis=1) + stream(0, "noise").normal(size=KNOWN)
    print(f"{'strategy':<24}{'rows':>6}{'propose s':>11}   (nb201, {KNOWN} results, one core)")
    rows = sorted(_catalog.KINDS["strategy"], key=lambda one: one.name)
    for row in rows:
        if sys.argv[1:] and row.name not in sys.argv[1:]:
            continue
        strategy = ft.strategies.get(row.name)
        history = History.of(SPACE, X, y, max_epochs=12, asks=0)
        n = min(strategy.round_size(history) or 10, 20)
        strategy.propose(SPACE, history[:20], 1, stream(0))  # imports, and what is learnt once
        start = time.process_time()
        got = strategy.propose(SPACE, history, n, stream(0))
        print(f"{row.name:<24}{len(got.X):>6}{time.process_time() - start:>11.3f}", flush=True)
    total = 0.0
    print("\n1,000 evaluations")
    for name in PLAIN:
        search = ft.Search(SPACE, name, seed=0)
        start = time.process_time()
        while search.n_rows < 1000:
            X = search.ask(min(search.round_size or 1000, 1000 - search.n_rows))
            search.tell(X, (X == 3).sum(axis=1))
        total += (seconds := time.process_time() - start)
        print(f"{name:<24}{seconds:>17.3f} s")
    print(f"{'together':<24}{total:>17.3f} s   (bound 1 s)")
    return int(total >= 1.0)


if __name__ == "__main__":
    sys.exit(main())
