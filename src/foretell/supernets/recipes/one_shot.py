"""One-Shot."""

from __future__ import annotations

from foretell.supernets.alpha import NoUpdate
from foretell.supernets.distribution import Constant
from foretell.supernets.method import Method, Weights
from foretell.supernets.perturbation import PathDropout
from foretell.supernets.selection import SampleAndScore


def one_shot(rate: float = 0.05, n: int = 1000, batches: int = 10) -> Method:
    """All operations at once, paths dropped ever more often; the best of many rows at the end.

    References: Bender et al., ICML 2018 (from memory). `Differs:` no ghost batches.
    """
    return Method(
        distribution=Constant(ones=True),
        alpha=NoUpdate(),
        perturbation=PathDropout(last=rate),
        selection=SampleAndScore(n, batches),
        weights=Weights(epochs=100),
    )
