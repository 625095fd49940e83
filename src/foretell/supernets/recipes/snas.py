"""SNAS."""

from __future__ import annotations

from foretell.supernets.alpha import First
from foretell.supernets.distribution import Concrete
from foretell.supernets.method import Method, Weights
from foretell.supernets.regulariser import ExpectedCost
from foretell.supernets.schedule import Temperature


def snas(resource: float = 1e-3, cost: str = "params") -> Method:
    """Concrete weights, one joint step of weights and alpha on all training rows.

    References: Xie et al., SNAS, ICLR 2019. `Differs:` nodes keep as many edges as a row has.
    """
    return Method(
        distribution=Concrete(),
        alpha=First(order="joint", data="train"),
        regularisers=(ExpectedCost(cost, resource),),
        schedule=(Temperature(1.0, 0.03),),
        weights=Weights(epochs=150, share=1.0),
    )
