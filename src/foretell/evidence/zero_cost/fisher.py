"""Fisher information of channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from foretell.evidence.zero_cost.base import Proxy
from foretell.evidence.zero_cost.parts.look import LAYERS, LOSS, Look


@dataclass(frozen=True)
class Fisher(Proxy):
    """How much the loss would change without a channel, to second order.

    For channel c of a layer with output a and gradient d = dL/da: s_c = 1/2 mean_n (sum a d)^2 over
    the pixels; the score is the sum over channels, each as often as it has weights.

    References: Theis et al., Faster gaze prediction with dense networks and Fisher pruning, 2018,
    equation 7; Turner et al., BlockSwap, ICLR 2020; Abdelfattah et al., ICLR 2021.
    """

    needs: ClassVar[frozenset[str]] = frozenset({LOSS, LAYERS})

    def score(self, look: Look) -> float:
        """The sum over channels of convolutions and linear maps."""
        total = 0.0
        for layer, d in zip(look.seen.layers, look.first[1], strict=True):
            product = layer.output.detach() * d.detach()
            if layer.dims:
                each = product.sum(dim=tuple(range(2, product.ndim)))
            else:  # a linear map of each position: channels come last
                each = product.reshape(len(product), -1, product.shape[-1]).sum(dim=1)
            weights = layer.weight[0].numel()
            total += float(each.square().mean(dim=0).sum()) / 2 * weights
        return total
