"""Norm of the weights."""

from __future__ import annotations

from dataclasses import dataclass

from foretell.evidence.zero_cost.base import Proxy
from foretell.evidence.zero_cost.parts.look import Look


@dataclass(frozen=True)
class L2Norm(Proxy):
    """s = sum_l |W_l|: with usual initial weights a measure of size.

    References: Abdelfattah et al., Zero-Cost Proxies for Lightweight NAS, ICLR 2021.
    """

    def score(self, look: Look) -> float:
        """The sum over layers."""
        return float(sum(w.detach().norm() for w in look.weights))
