"""Whole-array work on the benchmark spaces, one process, one core: CPU seconds and peak memory.

Bound: the 423,624 graphs of nb101 enumerated, from nothing, within 60 s.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import foretell as ft
from foretell.spaces.nb101 import NB101


def peak_mib() -> float:
    """The most memory that this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def timed(what: str, call: Callable[[], Any], per: int | None = None) -> Any:
    """Call, print the CPU seconds, return (result, seconds)."""
    start = time.process_time()
    result = call()
    seconds = time.process_time() - start
    rate = f"{per / max(seconds, 1e-9):14,.0f} rows/s" if per else ""
    print(f"{what:48s} {seconds:8.3f} s  peak {peak_mib():5.0f} MiB {rate}", flush=True)
    return result, seconds


def main() -> int:
    """All figures; 1 when the bound is broken."""
    space = ft.spaces.get("nb101")
    print(f"{'process with foretell imported':48s} {'':8s}    peak {peak_mib():5.0f} MiB")
    blocks, seconds = timed("nb101 enumerate, from nothing", lambda: list(space.enumerate()))
    n = sum(map(len, blocks))
    print(f"  {n:,} graphs, bound 60 s: {'kept' if seconds <= 60 else 'BROKEN'}")
    timed("nb101 graphs, in blocks", lambda: [len(space.graphs(block).ops) for block in blocks], n)
    timed("nb101 row_key, in blocks", lambda: [space.row_key(block) for block in blocks], n)
    timed("nb101 costs, in blocks", lambda: [space.costs(block) for block in blocks], n)
    X, _ = timed("nb101 sample", lambda: space.sample(100_000, rng=0), 100_000)
    timed("nb101 mutate", lambda: space.mutate(X, rng=0), 100_000)
    texts, _ = timed("nb101 to_str", lambda: space.to_str(X), 100_000)
    timed("nb101 from_str", lambda: space.from_str(texts), 100_000)
    timed("nb101 md5_hash", lambda: NB101().md5_hash(X[:5_000]), 5_000)
    whole = np.concatenate(list(ft.spaces.get("nb201").enumerate()))
    other = ft.spaces.get("nb201")
    for name in ("canonical", "graphs", "costs", "to_str"):
        timed(f"nb201 {name}", partial(getattr(other, name), whole), len(whole))
    return int(seconds > 60)


if __name__ == "__main__":
    sys.exit(main())
