"""What is done to the weights of operations in a step of the network's weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from foretell.spaces.parts.mixture import Mixture
from foretell.supernets.nodes import meeting

Loss = Callable[[Tensor], Tensor]  # of the current training batch, by weights (E, K)


class Step(NamedTuple):
    """What a perturbation knows of a step."""

    mask: Tensor  # options that are there, (E, K)
    mixture: Mixture
    size: float  # by `Perturbation.size`
    loss: Loss
    rng: torch.Generator  # of the perturbation alone


@dataclass(frozen=True)
class Perturbation(ABC):
    """Another z near z. It leaves alpha, the network and its gradients as they are.

    Args:
        first: size at the first epoch.
        last: size at the last epoch; in between it grows linearly.
    """

    first: float = 0.03
    last: float = 0.3
    needs_soft: ClassVar[bool] = True

    def size(self, share: float) -> float:
        """At this share of the epochs."""
        return self.first + (self.last - self.first) * share

    @abstractmethod
    def __call__(self, z: Tensor, step: Step) -> Tensor:
        """Weights for the step, of those that were drawn, (E, K), without a graph."""


@dataclass(frozen=True)
class UniformNoise(Perturbation):
    """z + U(-size, size), brought back to shares.

    References: Chen & Hsieh, SDARTS, ICML 2020, equation 5 (RS). `Differs:` none from the code.
    """

    def __call__(self, z: Tensor, step: Step) -> Tensor:
        """Noise on the shares, not on the logits."""
        return shares(z + _noise(z, step.size, step.rng), z, step.mask)


@dataclass(frozen=True)
class Adversarial(Perturbation):
    """The worst z in a box around z that some steps of ascent find.

    A random start in the box, then `steps` steps of 2 size / steps along the sign of the gradient,
    each clipped to the box; where the loss did not rise, z as it was.

    Args:
        steps: of ascent.

    References: Chen & Hsieh, SDARTS, ICML 2020, equation 6 (ADV); Madry et al., ICLR 2018.
    `Differs:` the box is left by the last division alone, which brings rows back to shares.
    """

    steps: int = 7

    def __call__(self, z: Tensor, step: Step) -> Tensor:
        """Ascent on the training batch."""
        at = shares(z + _noise(z, step.size, step.rng), z, step.mask)
        for _ in range(self.steps):
            at = at.detach().requires_grad_()
            (slope,) = torch.autograd.grad(step.loss(at), at)
            moved = at.detach() + 2 * step.size / self.steps * slope.sign()
            at = shares(z + (moved - z).clamp(-step.size, step.size), z, step.mask)
        with torch.no_grad():
            return at if float(step.loss(at)) >= float(step.loss(z)) else z


@dataclass(frozen=True)
class PathDropout(Perturbation):
    """Each path into a node is dropped with chance r^(1/k), k the paths into it.

    So the chance that a node loses all of them is r, which grows from `first` to `last`.

    References: Bender et al., ICML 2018, section 3.3 (from memory).
    """

    first: float = 0.0
    last: float = 0.05

    def __call__(self, z: Tensor, step: Step) -> Tensor:
        """Some weights are 0."""
        if step.size <= 0:
            return z
        k = step.mask.sum(1).to(z.dtype)
        for node in meeting(step.mixture):
            k[list(node)] = k[list(node)].sum()
        rate = step.size ** (1 / k.clamp(min=1))
        kept = torch.rand(z.shape, generator=step.rng).to(z.device) >= rate[:, None]
        return z * kept


def shares(z: Tensor, before: Tensor, mask: Tensor) -> Tensor:
    """Rows clipped to [0, 1] and divided by their sum; one without any is 1 at its old maximum.

    >>> from torch import tensor
    >>> shares(tensor([[1.2, 0.3]]), tensor([[0.9, 0.1]]), tensor([[True, True]]))
    tensor([[0.7692, 0.2308]])
    """
    z = z.clamp(0, 1) * mask
    total = z.sum(1, keepdim=True)
    corner = torch.zeros_like(z).scatter_(1, before.argmax(1, keepdim=True), 1.0) * mask
    return torch.where(total > 0, z / total.clamp(min=1e-12), corner)


def _noise(z: Tensor, size: float, rng: torch.Generator) -> Tensor:
    drawn = torch.rand(z.shape, generator=rng, dtype=torch.float64)
    return (size * (2 * drawn - 1)).to(z.device, z.dtype)
