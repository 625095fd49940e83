"""GraSP: what the flow of gradients loses without a weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from foretell.evidence.zero_cost.base import Proxy
from foretell.evidence.zero_cost.parts.look import LOSS, SIDES, Look


@dataclass(frozen=True)
class GraSP(Proxy):
    """s = -sum W (H g), with gradient g and Hessian H of the loss by the weights W.

    References: Wang et al., Picking Winning Tickets Before Training by Preserving Gradient Flow,
    ICLR 2020, equation 8, with the sign that Abdelfattah et al., ICLR 2021, give it. `Differs:` as
    H is symmetric, it is -sum g (H W), and H W a difference of gradients (`Look.curvature`).
    """

    needs: ClassVar[frozenset[str]] = frozenset({LOSS, SIDES})

    def score(self, look: Look) -> float:
        """The sum over all weights."""
        pairs = zip(look.curvature, look.gradients, strict=True)
        return -float(sum((h.double() * g.detach().double()).sum() for h, g in pairs))
