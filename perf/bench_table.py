"""`Table` on NAS-Bench-201: opening the file, look-ups a second, against a dictionary.

Bounds: opened in under 1 s; at least 1,000,000 look-ups a second on one core.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np

import foretell as ft

N = 1_000_000


def main() -> int:
    """Measure, print, and compare with the bounds."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    path = Path(os.environ.get("FORETELL_DATA", default)) / "nb201.csv.gz"
    if not path.exists():
        print(f"skipped: no {path}; set FORETELL_DATA to the folder of real tables")
        return 0
    space = ft.spaces.get("nb201")
    start = time.perf_counter()
    table = ft.Table.open(path, space=space)
    opened = time.perf_counter() - start
    X = table.X[np.random.default_rng(0).integers(0, len(table), N)]
    seconds = []
    for _ in range(5):
        start = time.process_time()
        found = table.query(X, "cifar10_val_12ep")
        seconds.append(time.process_time() - start)
    rate = N / min(seconds)

    # the peer: one dictionary from strings to values, as benchmark interfaces have it
    strings = space.to_str(table.X)
    known = dict(zip(strings, table.column("cifar10_val_12ep").tolist(), strict=True))
    part = X[: N // 10]
    start = time.process_time()
    plain = [known[text] for text in space.to_str(part)]
    peer = len(part) / (time.process_time() - start)
    if found[: len(part)].tolist() != plain:
        print("FAILED: the dictionary says something else")
        return 1
    print(f"open {path.name}: {opened:.3f} s (bound 1 s), {len(table):,} architectures")
    print(f"look-ups: {rate:,.0f} a second (bound 1,000,000)")
    print(f"dictionary of strings: {peer:,.0f} a second; ratio {rate / peer:.1f} x")
    return int(opened > 1 or rate < 1_000_000)


if __name__ == "__main__":
    sys.exit(main())
