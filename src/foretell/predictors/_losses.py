"""Losses of scores (M, n) of M members against targets (n,): each the sum over members."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Loss = Literal["rank", "hinge", "mse", "bce"]
_MARGIN = 0.1


def mse(scores: Tensor, target: Tensor) -> Tensor:
    """Mean over i of (s_i - t_i)^2."""
    return (scores - target).square().mean(-1).sum()


def bce(scores: Tensor, target: Tensor) -> Tensor:
    """Mean over i of -t_i log p_i - (1 - t_i) log(1 - p_i), p = 1 / (1 + exp(-s))."""
    logistic = torch.nn.functional.binary_cross_entropy_with_logits
    return logistic(scores, target.expand_as(scores), reduction="none").mean(-1).sum()


def rank(scores: Tensor, target: Tensor) -> Tensor:
    """Mean over pairs t_i > t_j of log(1 + exp(s_j - s_i)) (logistic; Burges et al. 2005)."""
    return _pairs(scores, target, torch.nn.functional.softplus)


def hinge(scores: Tensor, target: Tensor) -> Tensor:
    """Mean over pairs t_i > t_j of max(0, 0.1 - (s_i - s_j)) (Ning et al. 2020, GATES)."""
    return _pairs(scores, target, lambda wrong: torch.relu(wrong + _MARGIN))


def _pairs(scores: Tensor, target: Tensor, loss: Callable[[Tensor], Tensor]) -> Tensor:
    ordered = (target[:, None] > target[None, :]).to(scores.dtype)
    wrong = scores[:, None, :] - scores[:, :, None]  # s_j - s_i at [i, j]
    return (loss(wrong) * ordered).sum() / ordered.sum().clamp(min=1.0)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "rank": rank,
    "hinge": hinge,
    "mse": mse,
    "bce": bce,
}
