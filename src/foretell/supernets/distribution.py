"""Distributions over the options of each site: what alpha means, and how weights are drawn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from foretell.spaces.parts.mixture import Mixture

Gradient = Literal["path", "score", "gates", "none"]
_LOW = -1e30  # a logit that is as good as minus infinity, and no NaN in rows without any option


class Draw(NamedTuple):
    """Weights (E, K), 0 where masked, and log p of what was drawn at each site (E,), or None."""

    z: Tensor
    log_prob: Tensor | None = None


class Architecture(nn.Module):
    """What is learnt about the architecture: `alpha` (E, K), and `beta` (E,) of edge
    normalisation."""

    def __init__(self, alpha: Tensor, beta: bool = False) -> None:
        super().__init__()
        self.alpha = nn.Parameter(alpha)
        self.beta = nn.Parameter(torch.zeros(len(alpha))) if beta else None


@dataclass(frozen=True)
class Distribution(ABC):
    """How alpha gives weights.

    `gradient` says how alpha learns: "path" (the weights have a graph), "score" (log p alone has
    one), "gates" (from the loss's gradient at the drawn weights), "none". `hard` says that weights
    are 1 or 0, `learns` that there is something to read in alpha.
    """

    gradient: ClassVar[tuple[Gradient, ...]] = ("path",)
    hard: ClassVar[bool] = False
    scale: ClassVar[float] = 1e-3  # standard deviation of alpha at the start
    middle: ClassVar[float] = 0.0

    @property
    def learns(self) -> bool:
        """Whether alpha can learn at all."""
        return self.gradient != ("none",)

    def start(self, mixture: Mixture, rng: torch.Generator, beta: bool = False) -> Architecture:
        """Alpha at the start: a little noise around equal weights."""
        noise = torch.randn(mixture.shape, generator=rng)
        return Architecture(self.middle + self.scale * noise, beta)

    @abstractmethod
    def draw(
        self, arch: Architecture, mask: Tensor, mixture: Mixture, tau: float, rng: torch.Generator
    ) -> Draw:
        """Weights for one forward pass.

        Args:
            arch: what is learnt.
            mask: options that are there, (E, K).
            mixture: sites and nodes.
            tau: temperature.
            rng: of the draw; on the CPU.
        """

    def mean(self, arch: Architecture, mask: Tensor, mixture: Mixture) -> Tensor:
        """E[z] without noise, (E, K): for choosing, measuring and drawing pictures."""
        return softmax(arch.alpha, mask)

    def constrain(self, arch: Architecture) -> None:  # noqa: B027  # may be left out
        """Bring alpha back to where it may be, after a step."""


@dataclass(frozen=True)
class Softmax(Distribution):
    """z = softmax(alpha) at each site.

    References: Liu et al., DARTS, ICLR 2019, equation 2.
    """

    def draw(
        self, arch: Architecture, mask: Tensor, mixture: Mixture, tau: float, rng: torch.Generator
    ) -> Draw:
        """The mean: nothing is random."""
        return Draw(softmax(arch.alpha, mask))


@dataclass(frozen=True)
class Concrete(Distribution):
    """z = softmax((log softmax(alpha) + G) / tau), G standard Gumbel.

    References: Xie et al., SNAS, ICLR 2019, equation 5; Maddison et al., ICLR 2017.
    """

    def draw(
        self, arch: Architecture, mask: Tensor, mixture: Mixture, tau: float, rng: torch.Generator
    ) -> Draw:
        """A point in the simplex, near a corner where tau is small."""
        return Draw(softmax(gumbel(log_softmax(arch.alpha, mask), rng) / tau, mask))


@dataclass(frozen=True)
class GumbelST(Distribution):
    """z one-hot at argmax(log softmax(alpha) + G); its gradient is that of `Concrete`.

    References: Dong & Yang, GDAS, CVPR 2019, equations 3 to 6. `Differs:` the operation that is
    chosen alone has a gradient, as in the paper; the released code adds the others as scalars.
    """

    hard: ClassVar[bool] = True

    def draw(
        self, arch: Architecture, mask: Tensor, mixture: Mixture, tau: float, rng: torch.Generator
    ) -> Draw:
        """One-hot forward, soft backward."""
        noisy = gumbel(log_softmax(arch.alpha, mask), rng)
        soft = softmax(noisy / tau, mask)
        hot = _hot(noisy.detach(), mask, mixture)
        return Draw(hot - soft.detach() + soft)


@dataclass(frozen=True)
class Categorical(Distribution):
    """z one-hot with probability softmax(alpha); alpha learns from log p, or from gates.

    References: Cai et al., ProxylessNAS, ICLR 2019, section 3.2; Hu et al., DSNAS, CVPR 2020.
    """

    gradient: ClassVar[tuple[Gradient, ...]] = ("score", "gates")
    hard: ClassVar[bool] = True

    def draw(
        self, arch: Architecture, mask: Tensor, mixture: Mixture, tau: float, rng: torch.Generator
    ) -> Draw:
        """A corner, and its log p; where a site keeps several, that of the draws in their order."""
        noisy = gumbel(log_softmax(arch.alpha, mask), rng).detach()
        hot = _hot(noisy, mask, mixture)
        log_p = log_softmax(arch.alpha, mask)
        found = (hot * log_p.where(mask, 0.0)).sum(1)
        for e, site in enumerate(mixture.sites):
            if site.keep > 1:  # drawn without putting back
                order = noisy[e].argsort(descending=True)[: site.keep]
                before = log_p[e, order].exp().cumsum(0)[:-1]
                found = (
                    found
                    - torch.zeros_like(found).index_fill(
                        0, torch.tensor([e], device=found.device), 1.0
                    )
                    * torch.log1p(-before).sum()
                )
        return Draw(hot, found)


@dataclass(frozen=True)
class Dirichlet(Distribution):
    """z ~ Dirichlet(ELU(alpha) + 1), with the pathwise gradient.

    Drawn over all options, the masked ones set to 0, the others divided by their sum: that is
    Dirichlet over those that are left.

    Args:
        least: the smallest beta; smaller ones leave the range of float32.

    References: Chen et al., DrNAS, ICLR 2021, equations 4 to 6.
    """

    least: float = 1e-2

    def beta(self, arch: Architecture) -> Tensor:
        """ELU(alpha) + 1."""
        return (functional.elu(arch.alpha) + 1).clamp(min=self.least)

    def draw(
        self, arch: Architecture, mask: Tensor, mixture: Mixture, tau: float, rng: torch.Generator
    ) -> Draw:
        """A point in the simplex."""
        z = dirichlet(self.beta(arch), rng) * mask
        return Draw(z / z.sum(1, keepdim=True).clamp(min=1e-30))

    def mean(self, arch: Architecture, mask: Tensor, mixture: Mixture) -> Tensor:
        """Beta over its sum."""
        beta = self.beta(arch) * mask
        return beta / beta.sum(1, keepdim=True).clamp(min=1e-30)


@dataclass(frozen=True)
class Proximal(Distribution):
    """z one-hot at the largest of alpha in [0, 1], only for the strongest sites of each node.

    The gradient at that corner is given to alpha as it is. Of equal options a random one is taken.

    References: Yao et al., NASP, AAAI 2020, algorithm 2. `Differs:` ties are broken at random; in
    the released code the first operation, skip, wins them.
    """

    hard: ClassVar[bool] = True
    scale: ClassVar[float] = 0.0
    middle: ClassVar[float] = 0.5

    def draw(
        self, arch: Architecture, mask: Tensor, mixture: Mixture, tau: float, rng: torch.Generator
    ) -> Draw:
        """The projection of alpha, and a gradient straight through."""
        alpha = arch.alpha.detach()
        tie = 1e-6 * torch.rand(alpha.shape, generator=rng).to(alpha.device)
        point = self._project(alpha + tie, mask, mixture)
        return Draw(point + (arch.alpha - arch.alpha.detach()) * mask)

    def mean(self, arch: Architecture, mask: Tensor, mixture: Mixture) -> Tensor:
        """Alpha over its sum."""
        alpha = (arch.alpha * mask).clamp(min=0)
        return alpha / alpha.sum(1, keepdim=True).clamp(min=1e-30)

    def constrain(self, arch: Architecture) -> None:
        """Clip to [0, 1]."""
        with torch.no_grad():
            arch.alpha.clamp_(0, 1)

    @staticmethod
    def _project(alpha: Tensor, mask: Tensor, mixture: Mixture) -> Tensor:
        best = mixture.best(alpha.double().cpu().numpy(), mask.cpu().numpy())
        return torch.from_numpy(best).to(alpha.device, alpha.dtype)


@dataclass(frozen=True)
class Uniform(Distribution):
    """z one-hot, each row of the space as likely as any other: its options, the sites of a node.

    References: Li & Talwalkar, UAI 2019; Guo et al., SPOS, ECCV 2020.
    """

    gradient: ClassVar[tuple[Gradient, ...]] = ("none",)
    hard: ClassVar[bool] = True

    def draw(
        self, arch: Architecture, mask: Tensor, mixture: Mixture, tau: float, rng: torch.Generator
    ) -> Draw:
        """A random row."""
        there = mask & torch.from_numpy(mixture.takeable).to(mask.device)
        score = torch.rand(mask.shape, generator=rng).to(mask.device)
        hot = _hot(score, there, mixture)
        for node in mixture.nodes:
            sites = [e for e in node.sites if bool(mask[e].any())]
            drop = torch.randperm(len(sites), generator=rng)[node.keep :].tolist()
            hot[[sites[i] for i in drop]] = 0
        return Draw(hot)

    def mean(self, arch: Architecture, mask: Tensor, mixture: Mixture) -> Tensor:
        """The same for all."""
        return softmax(torch.zeros_like(arch.alpha), mask)


@dataclass(frozen=True)
class Constant(Distribution):
    """z the same for all options: 1 over their number, or 1.

    Args:
        ones: 1 each, so that a site is the sum of its options.

    References: Bender et al., ICML 2018 (ones); Wang et al., DARTS+PT, ICLR 2021, section 5.2.
    """

    ones: bool = False
    gradient: ClassVar[tuple[Gradient, ...]] = ("none",)
    scale: ClassVar[float] = 0.0

    def draw(
        self, arch: Architecture, mask: Tensor, mixture: Mixture, tau: float, rng: torch.Generator
    ) -> Draw:
        """Nothing is random."""
        return Draw(self.mean(arch, mask, mixture))

    def mean(self, arch: Architecture, mask: Tensor, mixture: Mixture) -> Tensor:
        """The weights."""
        if self.ones:
            return mask.to(arch.alpha.dtype)
        return softmax(torch.zeros_like(arch.alpha), mask)


class _Dirichlet(torch.autograd.Function):
    """A draw with its own generator, which torch.distributions has no place for."""

    @staticmethod
    def forward(ctx: Any, beta: Tensor, rng: torch.Generator) -> Tensor:
        z: Tensor = torch._sample_dirichlet(beta.cpu(), generator=rng)
        ctx.save_for_backward(z, beta)
        return z.to(beta.device)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        z, beta = ctx.saved_tensors
        grad, total = grads[0].cpu(), beta.cpu().sum(-1, keepdim=True)
        slope = torch._dirichlet_grad(z, beta.cpu(), total.expand_as(z))
        return (slope * (grad - (z * grad).sum(-1, keepdim=True))).to(beta.device), None


def dirichlet(beta: Tensor, rng: torch.Generator) -> Tensor:
    """Rows of Dirichlet(beta), with the gradient through the sample.

    dz_i/dbeta_j = -[dF/dbeta_j / f](z_j) (delta_ij - z_i) / (1 - z_j), F and f of Beta(beta_j,
    sum beta - beta_j).
    """
    z: Tensor = _Dirichlet.apply(beta, rng)  # type: ignore[no-untyped-call]  # torch has no types here
    return z.clamp(1e-12, 1.0)


def softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Of each row over the options that are there; 0 for the others.

    Shapes: (E, K) and (E, K) to (E, K).
    """
    return logits.where(mask, _LOW).softmax(1) * mask


def log_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Of each row over the options that are there; as good as minus infinity for the others.

    Shapes: (E, K) and (E, K) to (E, K).
    """
    return logits.where(mask, _LOW).log_softmax(1)


def gumbel(log_p: Tensor, rng: torch.Generator) -> Tensor:
    """log p + G, G standard Gumbel: its largest are a draw by p, without putting back.

    Args:
        log_p: of any shape.
        rng: of the noise; on the CPU.
    """
    u = torch.rand(log_p.shape, generator=rng, dtype=torch.float64).clamp(1e-20, 1 - 1e-16)
    return log_p - torch.log(-torch.log(u)).to(log_p.device, log_p.dtype)


def _hot(scores: Tensor, mask: Tensor, mixture: Mixture) -> Tensor:
    """1 at the largest of each row, at the `keep` largest where a site keeps several."""
    keep = torch.tensor([site.keep for site in mixture.sites], device=scores.device)
    order = scores.where(mask, -torch.inf).argsort(dim=1, descending=True, stable=True)
    rank = order.argsort(dim=1, stable=True)
    return ((rank < keep[:, None]) & mask).to(scores.dtype)
