"""NASWOT: how different the examples' linear regions are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from foretell.evidence.zero_cost.base import Proxy
from foretell.evidence.zero_cost.parts.look import CODES, Look


@dataclass(frozen=True)
class NASWOT(Proxy):
    """s = log |det K|: K_ij is the number of units on which examples i and j have the same sign.

    References: Mellor et al., Neural Architecture Search without Training, ICML 2021, equation 2.
    `Differs:` other activations than ReLU count by the signs of what they get.
    """

    needs: ClassVar[frozenset[str]] = frozenset({CODES})

    def score(self, look: Look) -> float:
        """Of the batch."""
        same, _ = look.same
        return float(torch.linalg.slogdet(same).logabsdet)
