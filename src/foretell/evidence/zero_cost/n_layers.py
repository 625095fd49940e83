"""Number of layers."""

from __future__ import annotations

from dataclasses import dataclass

from foretell.evidence.zero_cost.base import Proxy
from foretell.evidence.zero_cost.parts.look import Look


@dataclass(frozen=True)
class NLayers(Proxy):
    """Layers with weights: trainable parameters of two dimensions and more.

    References: Tybl & Neumann, VKDNW, CVPR 2025, section 4: a baseline of its own.
    """

    def score(self, look: Look) -> float:
        """Their count."""
        return float(len(look.weights))
