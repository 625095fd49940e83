"""Gradient times weight, with its sign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from foretell.evidence.zero_cost.base import Proxy
from foretell.evidence.zero_cost.parts.look import LOSS, Look


@dataclass(frozen=True)
class Plain(Proxy):
    """s = sum W dL/dW.

    Batch normalisation after a layer makes the loss independent of the scale of its weights, and
    their sum zero (Euler): then only layers without it count.

    References: Abdelfattah et al., Zero-Cost Proxies for Lightweight NAS, ICLR 2021.
    """

    needs: ClassVar[frozenset[str]] = frozenset({LOSS})

    def score(self, look: Look) -> float:
        """The sum over all weights."""
        pairs = zip(look.gradients, look.weights, strict=True)
        return float(sum((g.detach() * w.detach()).sum() for g, w in pairs))
