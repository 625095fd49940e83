"""Gradient norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from foretell.evidence.zero_cost.base import Proxy
from foretell.evidence.zero_cost.parts.look import LOSS, Look


@dataclass(frozen=True)
class GradNorm(Proxy):
    """Norm of the gradient of each layer's weights, summed: s = sum_l |dL/dW_l|.

    References: Abdelfattah et al., Zero-Cost Proxies for Lightweight NAS, ICLR 2021, section 3.2.

    >>> GradNorm.higher_is_better
    True
    """

    needs: ClassVar[frozenset[str]] = frozenset({LOSS})

    def score(self, look: Look) -> float:
        """The sum over layers."""
        return float(sum(g.detach().norm() for g in look.gradients))
