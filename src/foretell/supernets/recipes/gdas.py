"""GDAS."""

from __future__ import annotations

from foretell.supernets.alpha import First
from foretell.supernets.distribution import GumbelST
from foretell.supernets.execution import Single
from foretell.supernets.method import Method, Weights
from foretell.supernets.schedule import Temperature


def gdas(first: float = 10.0, last: float = 0.1) -> Method:
    """One operation a site by the Gumbel trick, which alone runs; tau from 10 to 0.1.

    References: Dong & Yang, GDAS, CVPR 2019; settings of NAS-Bench-201's code.
    """
    return Method(
        distribution=GumbelST(),
        execution=Single(),
        alpha=First(order="weights-first"),
        schedule=(Temperature(first, last),),
        weights=Weights(epochs=250, weight_decay=5e-4, nesterov=True),
    )
