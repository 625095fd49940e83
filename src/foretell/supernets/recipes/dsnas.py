"""DSNAS."""

from __future__ import annotations

from foretell.supernets.alpha import LocalScore
from foretell.supernets.distribution import Categorical
from foretell.supernets.execution import Single
from foretell.supernets.method import Method, Weights
from foretell.supernets.regulariser import ExpectedCost
from foretell.supernets.schedule import Freeze


def dsnas(gap: float = 0.3, flops: float | None = None) -> Method:
    """One path a step, rewarded site by site by its own slope; sites are fixed once they lead.

    References: Hu et al., DSNAS, CVPR 2020.
    """
    limit = () if flops is None else (ExpectedCost("flops", 1.0, flops, "above"),)
    return Method(
        distribution=Categorical(),
        execution=Single(),
        alpha=LocalScore(),
        regularisers=limit,
        schedule=(Freeze(gap),),
        weights=Weights(epochs=240, weight_decay=4e-5, share=1.0),
    )
