"""Flops of a forward pass."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from foretell.evidence.zero_cost.base import Proxy
from foretell.evidence.zero_cost.parts.look import Look


@dataclass(frozen=True)
class NFlops(Proxy):
    """Flops of convolutions and matrix products for one example, two a multiply-add.

    References: Ning et al., Evaluating Efficient Performance Estimators of Neural Architectures,
    NeurIPS 2021.
    """

    def score(self, look: Look) -> float:
        """Their count for two examples, halved: normalisation by a batch of one is not defined."""
        x = look.inputs[:1].expand(2, *look.inputs.shape[1:])
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            look.run(x, lambda _, p: p.detach())
        return float(counter.get_total_flops()) / 2
