"""SNIP: how much the loss feels each weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from foretell.evidence.zero_cost.base import Proxy
from foretell.evidence.zero_cost.parts.look import LOSS, Look


@dataclass(frozen=True)
class SNIP(Proxy):
    """Connection sensitivity: s = sum |dL/dm| = sum |W dL/dW| of masks m = 1 on the weights.

    References: Lee et al., SNIP, ICLR 2019, equation 5; Abdelfattah et al., ICLR 2021.
    """

    needs: ClassVar[frozenset[str]] = frozenset({LOSS})

    def score(self, look: Look) -> float:
        """The sum over all weights."""
        pairs = zip(look.gradients, look.weights, strict=True)
        return float(sum((g.detach() * w.detach()).abs().sum() for g, w in pairs))
