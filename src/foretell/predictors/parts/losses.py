"""Losses of scores (M, n) of M members: each the sum over members.

Targets are (n,), or (M, n) with NaN where a member is not to see a row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Loss = Literal["rank", "soft", "hinge", "mse", "mae", "bce"]
ON_TARGETS = ("mse", "mae", "bce")  # the others look at the order alone
_MARGIN = 0.1
_logistic = torch.nn.functional.binary_cross_entropy_with_logits


def mse(scores: Tensor, target: Tensor) -> Tensor:
    """Mean over i of (s_i - t_i)^2."""
    return _mean((scores - target.nan_to_num()).square(), target)


def mae(scores: Tensor, target: Tensor) -> Tensor:
    """Mean over i of |s_i - t_i|."""
    return _mean((scores - target.nan_to_num()).abs(), target)


def bce(scores: Tensor, target: Tensor) -> Tensor:
    """Mean over i of -t_i log p_i - (1 - t_i) log(1 - p_i), p = 1 / (1 + exp(-s))."""
    wish = target.nan_to_num().expand_as(scores)
    return _mean(_logistic(scores, wish, reduction="none"), target)


def rank(scores: Tensor, target: Tensor) -> Tensor:
    """Mean over pairs t_i > t_j of log(1 + exp(s_j - s_i)) (logistic; Burges et al. 2005)."""
    return _pairs(scores, target, torch.nn.functional.softplus)


def soft(scores: Tensor, target: Tensor) -> Tensor:
    """Mean over pairs of the cross-entropy of p_ij = 1 / (1 + exp(s_j - s_i)) with the share
    1 / (1 + exp(t_j - t_i)) (Dudziak et al. 2020, BRP-NAS).

    Targets that hardly differ ask for scores that hardly differ: what `rank` takes for an order
    is here the noise that it may be.
    """
    wish = torch.sigmoid(target[..., :, None] - target[..., None, :])
    lead = scores[:, :, None] - scores[:, None, :]  # s_i - s_j at [i, j]
    apart = ~torch.eye(target.shape[-1], dtype=torch.bool)
    some = (apart & ~wish.isnan()).to(scores.dtype)
    entropy = _logistic(lead, wish.nan_to_num().expand_as(lead), reduction="none")
    return ((entropy * some).sum((-2, -1)) / some.sum((-2, -1)).clamp(min=1.0)).sum()


def hinge(scores: Tensor, target: Tensor) -> Tensor:
    """Mean over pairs t_i > t_j of max(0, 0.1 - (s_i - s_j)) (Ning et al. 2020, GATES)."""
    return _pairs(scores, target, lambda wrong: torch.relu(wrong + _MARGIN))


def _pairs(scores: Tensor, target: Tensor, loss: Callable[[Tensor], Tensor]) -> Tensor:
    ordered = better(target).to(scores.dtype)
    wrong = scores[:, None, :] - scores[:, :, None]  # s_j - s_i at [i, j]
    return ((loss(wrong) * ordered).sum((-2, -1)) / ordered.sum((-2, -1)).clamp(min=1.0)).sum()


def better(target: Tensor) -> Tensor:
    """True at [.., i, j] where t_i > t_j, both seen."""
    return target[..., :, None] > target[..., None, :]


def _mean(each: Tensor, target: Tensor) -> Tensor:
    seen = (~target.isnan()).to(each.dtype)
    return ((each * seen).sum(-1) / seen.sum(-1).clamp(min=1.0)).sum()


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "rank": rank,
    "soft": soft,
    "hinge": hinge,
    "mse": mse,
    "mae": mae,
    "bce": bce,
}
