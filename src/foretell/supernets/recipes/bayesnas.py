"""BayesNAS."""

from __future__ import annotations

from foretell.supernets.alpha import First
from foretell.supernets.method import Method
from foretell.supernets.relevance import Reestimate, Relevance, RelevancePrior


def bayesnas(weight: float = 0.01) -> Method:
    """Operations have free weights under a prior that each re-estimates: what is not needed goes.

    References: Zhou et al., BayesNAS, ICML 2019 (from memory). `Differs:` see `relevance`.
    """
    return Method(
        distribution=Relevance(),
        alpha=First(lr=3e-3, weight_decay=0.0),
        regularisers=(RelevancePrior(weight),),
        schedule=(Reestimate(),),
    )
