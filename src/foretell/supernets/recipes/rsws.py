"""Random search with shared weights."""

from __future__ import annotations

from foretell.supernets.alpha import NoUpdate
from foretell.supernets.distribution import Uniform
from foretell.supernets.execution import Single
from foretell.supernets.method import Method, Weights
from foretell.supernets.selection import SampleAndScore


def rsws(n: int = 1000, batches: int = 10) -> Method:
    """A random row a step; at the end the best of many by inherited weights.

    References: Li & Talwalkar, UAI 2019, section 3.2 (clip 1: single paths have large gradients).
    """
    return Method(
        distribution=Uniform(),
        execution=Single(),
        alpha=NoUpdate(),
        selection=SampleAndScore(n, batches),
        weights=Weights(epochs=150, clip=1.0),
    )
