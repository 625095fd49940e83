"""VKDNW: how alike the eigenvalues of the Fisher information are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from foretell.errors import SpaceError
from foretell.evidence.zero_cost.base import Proxy
from foretell.evidence.zero_cost.parts.look import Look, gradient
from foretell.evidence.zero_cost.parts.matrices import chosen

_QUANTILES = torch.arange(1, 10, dtype=torch.float64) / 10


@dataclass(frozen=True)
class VKDNW(Proxy):
    """Layers, and the entropy of the spectrum of the Fisher information between them.

    F = E_x E_y g g^T with g = d log p(y|x) / dw for classes y as the network itself foretells them,
    and w about `weights` weights, evenly taken from all layers. With d_k the deciles of its
    eigenvalues and q_k = d_k / sum d: s = layers - sum_k q_k log q_k / log 9, so that the entropy
    decides between networks of as many layers.

    Args:
        weights: so many are looked at.
        draws: classes for each of the first 16 examples.

    References: Tybl & Neumann, Training-free NAS through Variance of Knowledge of Deep Network
    Weights, CVPR 2025, equations 9 and 10. `Differs:` classes are drawn where the paper sums over
    all; statistics of normalisation are held fixed.
    """

    weights: int = 128
    draws: int = 4

    def score(self, look: Look) -> float:
        """The number of layers, and a share of one."""
        outputs, layers = look.apart
        if not layers:
            raise SpaceError("the network has no convolution or linear map that can be trained")
        each = math.ceil(self.weights / len(layers))
        log_p = outputs.log_softmax(dim=1)
        draws = look.generator("vkdnw")
        p = log_p.detach().exp().cpu()
        backs: list[list[Tensor]] = []
        for _ in range(self.draws):
            y = torch.multinomial(p, 1, generator=draws).to(outputs.device)
            backs.append(gradient(log_p.gather(1, y).sum(), [one.output for one in layers]))
        pairs = zip(layers, zip(*backs, strict=True), strict=True)
        g = torch.cat([torch.cat(chosen(one, back, each)) for one, back in pairs], dim=1).double()
        v = torch.linalg.eigvalsh(g.T @ g / len(g)).clamp_min(0)
        deciles = torch.quantile(v, _QUANTILES.to(v))
        if not deciles.sum() > 0:
            raise SpaceError("the Fisher information of the network is zero")
        q = deciles / deciles.sum()
        return len(look.weights) - float(torch.special.xlogy(q, q).sum()) / math.log(9)
