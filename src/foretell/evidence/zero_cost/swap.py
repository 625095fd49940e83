"""SWAP: patterns of units over examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from foretell.errors import SpaceError
from foretell.evidence.zero_cost.base import Proxy
from foretell.evidence.zero_cost.parts.look import PATTERNS, Look


@dataclass(frozen=True)
class SWAP(Proxy):
    """The number of different patterns of signs that units have over 16 examples.

    References: Peng et al., SWAP-NAS: Sample-Wise Activation Patterns for Ultra-Fast NAS, ICLR
    2024, definition 3.2. `Differs:` without the regularisation by size; weights as they are.
    """

    needs: ClassVar[frozenset[str]] = frozenset({PATTERNS})

    def score(self, look: Look) -> float:
        """Of the first 16 examples of the batch."""
        patterns = look.seen.patterns
        if not patterns:
            raise SpaceError("the network has no ReLU, nor anything like it")
        return float(len(torch.cat(patterns).unique()))
