"""ZiCo: gradients that are large and alike in all batches."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from foretell.evidence.zero_cost.base import Proxy
from foretell.evidence.zero_cost.parts.look import Look


@dataclass(frozen=True)
class ZiCo(Proxy):
    """s = sum_l log sum_w E|g_w| / std(g_w) over the weights w of layer l.

    E and std (divided by the number) are those of the gradients on the two halves of the batch;
    weights whose gradients are equal are left out, and layers without others.

    References: Li et al., ZiCo, ICLR 2023, equation 14.
    """

    def score(self, look: Look) -> float:
        """The sum over layers."""
        total = 0.0
        for pair in zip(*look.halves, strict=True):
            g = torch.stack(pair)
            mean, std = g.abs().mean(dim=0), g.std(dim=0, unbiased=False)
            ratio = (mean / std)[std > 0].double().sum()
            if ratio > 0:
                total += float(ratio.log())
        return total
