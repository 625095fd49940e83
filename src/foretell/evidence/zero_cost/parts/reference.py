"""Where scores of proxies lie: for aggregates of a network alone.

Median and half the distance of the quartiles over random cells of NAS-Bench-201 in the official
skeleton, 64 images of CIFAR-10, as `python perf/bench_proxies.py reference` prints them.
"""

from __future__ import annotations

from collections.abc import Mapping

REFERENCE: Mapping[str, tuple[float, float]] = {
    "az-expressivity": (44.0, 5.7),
    "az-progressivity": (-0.18, 0.098),
    "az-trainability": (-0.28, 0.36),
    "epe-nas": (1600.0, 280.0),
    "fisher": (0.052, 0.05),
    "grad-norm": (18.0, 10.0),
    "grasp": (5.5, 7.5),
    "jacob-cov": (-67.0, 8.7),
    "l2-norm": (130.0, 51.0),
    "linear-regions": (4.7e5, 1.7e5),
    "meco": (5.1, 6.0),
    "n-flops": (9.4e7, 6.3e7),
    "n-layers": (38.0, 15.0),
    "n-params": (3.4e5, 2.2e5),
    "naswot": (760.0, 28.0),
    "ntk-cond": (61.0, 31.0),
    "plain": (0.09, 0.054),
    "snip": (36.0, 19.0),
    "swap": (5.1e4, 1.1e4),
    "synflow": (54.0, 11.0),
    "vkdnw": (46.0, 7.5),
    "zen": (96.0, 26.0),
    "zico": (450.0, 80.0),
}
