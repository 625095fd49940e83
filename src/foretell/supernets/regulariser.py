"""What is added to the loss of alpha."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from foretell.supernets.distribution import (
    Architecture,
    Dirichlet,
    Distribution,
    log_softmax,
    softmax,
)

Table = Callable[[str], Tensor]  # costs of each site's options, (E, K), by name


class Drawn(NamedTuple):
    """What a regulariser knows of a step of alpha."""

    z: Tensor  # weights that were drawn, (E, K)
    arch: Architecture
    mask: Tensor  # options that are there, (E, K)
    distribution: Distribution
    costs: Table


@dataclass(frozen=True)
class Regulariser(ABC):
    """Turns the loss of alpha's step into another one."""

    @abstractmethod
    def __call__(self, loss: Tensor, at: Drawn) -> Tensor:
        """The new loss, of the old one."""


@dataclass(frozen=True)
class KL(Regulariser):
    """weight times the mean over sites of KL(Dir(beta) || Dir(1)).

    References: Chen et al., DrNAS, ICLR 2021, equation 3.
    """

    weight: float = 1e-3

    def __call__(self, loss: Tensor, at: Drawn) -> Tensor:
        """Of the options that are there."""
        assert isinstance(at.distribution, Dirichlet)
        return loss + self.weight * kl_to_uniform(at.distribution.beta(at.arch), at.mask).mean()


@dataclass(frozen=True)
class Entropy(Regulariser):
    """Minus weight times the mean entropy of the sites; a negative weight asks for decisions."""

    weight: float = -1e-3

    def __call__(self, loss: Tensor, at: Drawn) -> Tensor:
        """Of softmax(alpha)."""
        log_p = log_softmax(at.arch.alpha, at.mask)
        entropy = -(log_p.exp() * log_p * at.mask).sum(1).mean()
        return loss - self.weight * entropy


@dataclass(frozen=True)
class ExpectedCost(Regulariser):
    """The expected cost of the drawn architecture, sum_e sum_k p_ek c_ek.

    Args:
        cost: "params", "flops" or "latency_ms".
        weight: lambda.
        target: what it should be, in the cost's unit; None where less is always better.
        form: "add": L + lambda C / target (or C over the cost of the mean architecture); "log":
            0.2 L (log C / log target)^lambda; "above": L + lambda max(0, C / target - 1).

    References: Cai et al., ProxylessNAS, ICLR 2019, equation 6, and its released code ("log");
    Xie et al., SNAS, ICLR 2019, section 2.4 ("add"); Hu et al., DSNAS, CVPR 2020 ("above").
    """

    cost: str = "params"
    weight: float = 0.1
    target: float | None = None
    form: Literal["add", "log", "above"] = "add"

    def __call__(self, loss: Tensor, at: Drawn) -> Tensor:
        """By the weights where they have a graph, else by softmax(alpha)."""
        alpha, mask = at.arch.alpha, at.mask
        table = at.costs(self.cost).to(alpha.device, alpha.dtype)
        path = "path" in at.distribution.gradient
        p = at.z if path else softmax(alpha, mask)
        expected = (p * table).sum()
        even = (table * mask).sum() / mask.sum(1).to(table.dtype).mean().clamp(min=1)
        reference = float(even) if self.target is None else self.target
        if self.form == "log":
            scale = math.log(max(reference, 1.0 + 1e-6))
            return 0.2 * loss * (torch.log(expected.clamp(min=1.0 + 1e-6)) / scale) ** self.weight
        ratio = expected / max(reference, 1e-12)
        if self.form == "above":
            return loss + self.weight * torch.relu(ratio - 1)
        return loss + self.weight * ratio


def kl_to_uniform(beta: Tensor, mask: Tensor | None = None) -> Tensor:
    """KL(Dir(beta) || Dir(1)) of each row, over the options that are there.

    With S = sum beta: lgamma(S) - sum lgamma(beta) - lgamma(K) + sum (beta - 1)
    (psi(beta) - psi(S)).

    Shapes: (E, K) to (E,).
    """
    mask = torch.ones_like(beta, dtype=torch.bool) if mask is None else mask
    beta = beta.where(mask, 1.0)
    total = (beta * mask).sum(1)
    k = mask.sum(1).to(beta.dtype)
    each = (beta - 1) * (torch.digamma(beta) - torch.digamma(total)[:, None]) - torch.lgamma(beta)
    return torch.lgamma(total) - torch.lgamma(k) + (each * mask).sum(1)
