"""Automatic relevance: free weights of operations, each under a Gaussian prior of its own.

The variance of a prior is re-estimated from the data: that of what is not needed goes to 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from foretell.spaces.parts.mixture import Mixture
from foretell.supernets.distribution import Architecture, Distribution, Draw
from foretell.supernets.regulariser import Drawn, Regulariser
from foretell.supernets.schedule import Course, Schedule


class Relevant(Architecture):
    """Weights of operations, and of each the root of its reweighted penalty."""

    penalty: Tensor

    def __init__(self, alpha: Tensor) -> None:
        super().__init__(alpha)
        self.register_buffer("penalty", torch.ones_like(alpha))


@dataclass(frozen=True)
class Relevance(Distribution):
    """z = alpha, any number; what is chosen is the largest |alpha|.

    References: Zhou et al., BayesNAS, ICML 2019, section 3 (from memory). `Differs:` priors of an
    edge do not depend on those of the node that it comes from.
    """

    def start(self, mixture: Mixture, rng: torch.Generator, beta: bool = False) -> Architecture:
        """Equal weights, with a little noise."""
        even = 1 / torch.from_numpy(mixture.mask).sum(1, keepdim=True)
        return Relevant(even + self.scale * torch.randn(mixture.shape, generator=rng))

    def draw(
        self, arch: Architecture, mask: Tensor, mixture: Mixture, tau: float, rng: torch.Generator
    ) -> Draw:
        """Nothing is random."""
        return Draw(arch.alpha * mask)

    def mean(self, arch: Architecture, mask: Tensor, mixture: Mixture) -> Tensor:
        """|alpha| over its sum."""
        size = arch.alpha.abs() * mask
        return size / size.sum(1, keepdim=True).clamp(min=1e-30)


@dataclass(frozen=True)
class RelevancePrior(Regulariser):
    """weight times sum_k omega_k |alpha_k|."""

    weight: float = 0.01

    def __call__(self, loss: Tensor, at: Drawn) -> Tensor:
        """With the omega of the last epoch."""
        assert isinstance(at.arch, Relevant)
        return loss + self.weight * (at.arch.penalty * at.arch.alpha.abs() * at.mask).sum()


@dataclass(frozen=True)
class Reestimate(Schedule):
    """After each epoch a new penalty omega for each option.

    With g = |alpha| / omega and C = 1 / (1/g + H): omega^2 = 1/g - C / g^2.

    H is the diagonal of the loss's second derivative in alpha, on one choosing batch.

    Args:
        most: the largest omega.
    """

    most: float = 10.0

    def end(self, course: Course, epoch: int) -> None:
        """New penalties."""
        arch: Any = course.arch
        alpha = arch.alpha.detach()
        H = _diagonal(course, alpha).clamp(min=0)
        gamma = (alpha.abs() / arch.penalty.clamp(min=1e-6)).clamp(min=1e-6)
        spread = 1 / (1 / gamma + H)
        arch.penalty.copy_((1 / gamma - spread / gamma**2).clamp(min=0).sqrt().clamp(max=self.most))


def _diagonal(course: Course, alpha: Tensor) -> Tensor:
    """By products with the sign vectors of a stream of their own (Hutchinson's estimate)."""
    bench: Any = course
    at = alpha.clone().requires_grad_()
    batch = bench.choose.batch(torch.arange(min(len(bench.choose), 128)))
    arch: Any = SimpleNamespace(alpha=at)
    rng = torch.Generator().manual_seed(0)
    z = bench.distribution.draw(arch, bench.mask, bench.mixture, 1.0, rng).z
    (slope,) = torch.autograd.grad(bench.loss(z, batch), at, create_graph=True)
    total = torch.zeros_like(alpha)
    for _ in range(4):
        sign = (torch.randint(0, 2, alpha.shape, generator=rng) * 2 - 1).to(alpha)
        (product,) = torch.autograd.grad(slope, at, sign, retain_graph=True)
        total += sign * product / 4
    return total
