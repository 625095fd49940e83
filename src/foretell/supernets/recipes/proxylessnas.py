"""ProxylessNAS."""

from __future__ import annotations

from typing import Literal

from foretell.supernets.alpha import GateUpdate
from foretell.supernets.distribution import Categorical
from foretell.supernets.execution import Gates
from foretell.supernets.method import Method, Weights
from foretell.supernets.regulariser import ExpectedCost
from foretell.supernets.schedule import WarmUp


def proxylessnas(
    gates: Literal["full", "recompute", "pair"] = "recompute",
    cost: str = "flops",
    target: float | None = None,
    power: float = 0.3,
) -> Method:
    """One path a step; every fifth step gates tell how good the others would be, for their cost.

    References: Cai et al., ProxylessNAS, ICLR 2019.
    """
    return Method(
        distribution=Categorical(),
        execution=Gates(how=gates),
        alpha=GateUpdate(pair=gates == "pair"),
        regularisers=(ExpectedCost(cost, power, target, "log"),),
        schedule=(WarmUp(0.25),),
        weights=Weights(epochs=160, nesterov=True, weight_decay=4e-5, label_smoothing=0.1),
    )
