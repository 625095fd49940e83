"""Number of parameters."""

from __future__ import annotations

from dataclasses import dataclass

from foretell.evidence.zero_cost.base import Proxy
from foretell.evidence.zero_cost.parts.look import Look


@dataclass(frozen=True)
class NParams(Proxy):
    """Trainable numbers of the network.

    References: Ning et al., Evaluating Efficient Performance Estimators of Neural Architectures,
    NeurIPS 2021: a baseline that many proxies do not beat.
    """

    def score(self, look: Look) -> float:
        """Their count."""
        return float(sum(p.numel() for p in look.net.parameters() if p.requires_grad))
