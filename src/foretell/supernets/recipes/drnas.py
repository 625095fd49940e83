"""DrNAS, plain and progressive."""

from __future__ import annotations

from foretell.supernets.distribution import Dirichlet
from foretell.supernets.execution import Full
from foretell.supernets.method import Method, Weights
from foretell.supernets.regulariser import KL
from foretell.supernets.schedule import Stage, Stages, WarmUp


def drnas(kl: float = 0.0) -> Method:
    """Weights of operations from a Dirichlet distribution that is learnt, drawn in every pass.

    References: Chen et al., DrNAS, ICLR 2021, sections 3.1 to 3.3; with `kl` equation 3 instead of
    its code's weight decay.
    """
    method = Method(distribution=Dirichlet(), weights=Weights(epochs=100))
    return method.but(regularisers=(KL(kl),)) if kl else method


def drnas_progressive(divisors: tuple[int, int] = (4, 2), keep: int = 3) -> Method:
    """DrNAS in two stages: a part of the channels and all operations, then more and fewer.

    References: Chen et al., DrNAS, ICLR 2021, section 3.4.
    """
    stages = (Stage(divisor=divisors[0]), Stage(keep=keep, divisor=divisors[1]))
    return drnas().but(
        execution=Full(divisor=divisors[0]), schedule=(Stages(stages), WarmUp(share=0.2))
    )
