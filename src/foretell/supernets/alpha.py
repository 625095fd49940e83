"""How what is learnt about the architecture gets its gradient."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import torch
from torch import Tensor, nn

from foretell.nets.supernet.mixed import Supernet
from foretell.spaces.parts.mixture import Mixture
from foretell.supernets.distribution import Architecture, Draw, gumbel, log_softmax, softmax

Order = Literal["alpha-first", "weights-first", "joint", "after-epoch"]
Batch = tuple[Tensor, Tensor]


class Bench(Protocol):
    """What of a search an update sees."""

    net: Supernet
    arch: Architecture
    mask: Tensor
    mixture: Mixture
    optimiser: torch.optim.Optimizer  # of the network's weights
    alpha_rng: torch.Generator

    def draw(self) -> Draw:
        """Weights by the stream of alpha's steps."""

    def loss(self, z: Tensor, batch: Batch, *, alpha: bool = True) -> Tensor:
        """Of a batch, without what the search adds."""

    def objective(self, z: Tensor, batch: Batch) -> Tensor:
        """The loss with all that the search adds for alpha."""

    def reward(self, z: Tensor, batch: Batch) -> float:
        """Accuracy on a batch, or another number that is to be high."""

    def batch(self, part: str) -> Batch:
        """The current batch of "train" or "val"."""

    def next_batch(self) -> Batch:
        """A fresh batch of "val"."""


@dataclass(frozen=True)
class AlphaUpdate(ABC):
    """One step of what is learnt about the architecture.

    Args:
        order: before or after a step of the weights on the same batches, in one step with it, or
            all of them after each epoch.
        data: whose loss: "val" (the rows that the weights do not see) or "train".
        every: once in so many steps of the weights.
        lr: of Adam.
        betas: of Adam.
        weight_decay: of Adam, in its gradient.
        eps: of Adam.
        clip: longest gradient, 0 for no limit.
    """

    order: Order = "alpha-first"
    data: Literal["val", "train"] = "val"
    every: int = 1
    lr: float = 3e-4
    betas: tuple[float, float] = (0.5, 0.999)
    weight_decay: float = 1e-3
    eps: float = 1e-8
    clip: float = 0.0
    needs: ClassVar[tuple[str, ...]] = ("path",)  # one of these `gradient`s of a distribution

    def optimiser(self, arch: Architecture) -> torch.optim.Optimizer | None:
        """Adam over what is learnt; None where nothing is."""
        params = [p for p in arch.parameters() if p.requires_grad]
        return torch.optim.Adam(
            params, lr=self.lr, betas=self.betas, eps=self.eps, weight_decay=self.weight_decay
        )

    @abstractmethod
    def gradients(self, bench: Bench, weights: Sequence[nn.Parameter] = ()) -> float:
        """Put gradients at the architecture's parameters; where order is "joint", at `weights`.

        Returns: the loss, for the record.
        """

    def after(self, bench: Bench) -> None:  # noqa: B027  # may be left out
        """What is done after the optimiser's step."""


@dataclass(frozen=True)
class NoUpdate(AlphaUpdate):
    """Alpha stays as it is."""

    needs: ClassVar[tuple[str, ...]] = ("path", "score", "gates", "none")

    def optimiser(self, arch: Architecture) -> torch.optim.Optimizer | None:
        """None."""
        return None

    def gradients(self, bench: Bench, weights: Sequence[nn.Parameter] = ()) -> float:
        """Nothing."""
        return 0.0


@dataclass(frozen=True)
class First(AlphaUpdate):
    """dL(w, alpha)/dalpha at the weights as they are.

    References: Liu et al., DARTS, ICLR 2019, equation 7 with xi = 0.
    """

    def gradients(self, bench: Bench, weights: Sequence[nn.Parameter] = ()) -> float:
        """Through the draw."""
        loss = bench.objective(bench.draw().z, bench.batch(self.data))
        _give(loss, [*_of(bench.arch), *weights])
        return float(loss.detach())


@dataclass(frozen=True)
class Second(AlphaUpdate):
    """The gradient at weights that have taken one step themselves.

    With w' = w - xi (mu m + dL_tr/dw + decay w), m the optimiser's momentum and xi its rate:
    g = d_alpha L_va(w', alpha) - xi d2_{alpha w} L_tr(w, alpha) v, v = d_w' L_va(w', alpha). The
    product with v is (d_alpha L_tr(w + eps v) - d_alpha L_tr(w - eps v)) / (2 eps), eps = 0.01/|v|,
    or, where `exact`, by differentiating twice. All passes have the same draw.

    Args:
        exact: by automatic differentiation, at the memory of a second graph.
        distance: eps |v|.

    References: Liu et al., DARTS, ICLR 2019, equations 7 and 8.
    """

    exact: bool = False
    distance: float = 0.01

    def gradients(self, bench: Bench, weights: Sequence[nn.Parameter] = ()) -> float:
        """Two to four passes more than `First`."""
        arch, params = _of(bench.arch), _of(bench.net)
        state = bench.alpha_rng.get_state()
        train, val = bench.batch("train"), bench.batch("val")

        def z() -> Tensor:
            bench.alpha_rng.set_state(state)
            return bench.draw().z

        slopes = torch.autograd.grad(bench.loss(z(), train), params, allow_unused=True)
        group = bench.optimiser.param_groups[0]
        xi, mu, decay = group["lr"], group["momentum"], group["weight_decay"]
        kept = [p.detach().clone() for p in params]
        with torch.no_grad():
            for p, slope in zip(params, slopes, strict=True):
                if slope is not None:
                    m = bench.optimiser.state.get(p, {}).get("momentum_buffer")
                    step = slope + decay * p + (0 if m is None else mu * m)
                    p.sub_(xi * step)
        loss = bench.objective(z(), val)
        found = torch.autograd.grad(loss, [*arch, *params], allow_unused=True)
        direct, v = found[: len(arch)], found[len(arch) :]
        _restore(params, kept)
        correction = self.correction(bench, z, train, v)
        for p, g, c in zip(arch, direct, correction, strict=True):
            p.grad = (torch.zeros_like(p) if g is None else g) - xi * c
        return float(loss.detach())

    def correction(
        self, bench: Bench, z: Callable[[], Tensor], train: Batch, v: Sequence[Tensor | None]
    ) -> list[Tensor]:
        """d2_{alpha w} L_tr(w, alpha) v."""
        arch, params = _of(bench.arch), _of(bench.net)
        if self.exact:
            slopes = torch.autograd.grad(
                bench.loss(z(), train), params, create_graph=True, allow_unused=True
            )
            dot = sum((s * t).sum() for s, t in zip(slopes, v, strict=True)
                      if s is not None and t is not None)  # fmt: skip
            if not isinstance(dot, Tensor):
                return [torch.zeros_like(p) for p in arch]
            twice = torch.autograd.grad(dot, arch, allow_unused=True)
            return [
                torch.zeros_like(p) if g is None else g for p, g in zip(arch, twice, strict=True)
            ]
        norm = torch.stack([t.square().sum() for t in v if t is not None]).sum().sqrt()
        eps = self.distance / float(norm.clamp(min=1e-20))
        kept = [p.detach().clone() for p in params]
        sides = []
        for sign in (1.0, -1.0):
            with torch.no_grad():
                for p, old, t in zip(params, kept, v, strict=True):
                    if t is not None:
                        p.copy_(old + sign * eps * t)
            sides.append(torch.autograd.grad(bench.loss(z(), train), arch, allow_unused=True))
        _restore(params, kept)
        return [
            torch.zeros_like(p) if a is None or b is None else (a - b) / (2 * eps)
            for p, a, b in zip(arch, *sides, strict=True)
        ]


@dataclass(frozen=True)
class Reinforce(AlphaUpdate):
    """-(R - b) dlog p(row)/dtheta, R the accuracy of the row on one batch, b its running mean.

    The entropy bonus is part of the reward, and has no gradient of its own.

    Args:
        samples: rows whose gradients are averaged in one step.
        steps: after each epoch.
        decay: of the running mean.
        entropy: times -log p, added to the reward.

    References: Pham et al., ENAS, ICML 2018, section 2.2; Williams, Machine Learning 1992.
    """

    order: Order = "after-epoch"
    lr: float = 3.5e-3
    betas: tuple[float, float] = (0.0, 0.999)
    weight_decay: float = 0.0
    eps: float = 1e-3
    samples: int = 10
    steps: int = 30
    decay: float = 0.99
    entropy: float = 1e-4
    needs: ClassVar[tuple[str, ...]] = ("score",)

    def gradients(self, bench: Bench, weights: Sequence[nn.Parameter] = ()) -> float:
        """Some rows on one batch."""
        arch: Any = bench.arch
        batch = bench.next_batch() if self.order == "after-epoch" else bench.batch(self.data)
        total, mean = torch.zeros(()), 0.0
        for _ in range(self.samples):
            drawn = bench.draw()
            assert drawn.log_prob is not None
            log_p = drawn.log_prob.sum()
            reward = bench.reward(drawn.z, batch) - self.entropy * float(log_p.detach())
            base = float(arch.baseline) if hasattr(arch, "baseline") else None
            base = reward if base is None else self.decay * base + (1 - self.decay) * reward
            arch.baseline = base
            total = total - (reward - base) * log_p / self.samples
            mean += reward / self.samples
        _give(total, _of(arch))
        return -mean


@dataclass(frozen=True)
class LocalScore(AlphaUpdate):
    """At each site R dlog p(k)/dalpha, R = dL/dz_k of the option k that was drawn.

    Unbiased where the loss is linear in z.

    References: Hu et al., DSNAS, CVPR 2020, equations 7 to 9.
    """

    order: Order = "joint"
    data: Literal["val", "train"] = "train"
    lr: float = 1e-3
    weight_decay: float = 0.0
    needs: ClassVar[tuple[str, ...]] = ("score",)

    def gradients(self, bench: Bench, weights: Sequence[nn.Parameter] = ()) -> float:
        """One pass over one path."""
        drawn = bench.draw()
        assert drawn.log_prob is not None
        z = drawn.z.detach().requires_grad_()
        loss = bench.objective(z, bench.batch(self.data))
        slope, *rest = torch.autograd.grad(loss, [z, *weights], allow_unused=True)
        for p, g in zip(weights, rest, strict=True):
            p.grad = g
        slope = torch.zeros_like(z) if slope is None else slope  # of a row without any path
        reward = (slope * drawn.z).sum(1).detach()
        _give((reward * drawn.log_prob).sum(), _of(bench.arch))
        return float(loss.detach())


@dataclass(frozen=True)
class GateUpdate(AlphaUpdate):
    """dL/dalpha_i = sum_j dL/dg_j p_j (delta_ij - p_i), g the gates at the drawn corner.

    Args:
        pair: two options of each site alone, drawn by p; afterwards both alphas are shifted so
            that the probabilities of the others stay as they are.

    References: Cai et al., ProxylessNAS, ICLR 2019, equations 3 and 4.
    """

    every: int = 5
    lr: float = 1e-3
    betas: tuple[float, float] = (0.0, 0.999)
    weight_decay: float = 0.0
    pair: bool = False
    needs: ClassVar[tuple[str, ...]] = ("gates",)

    def gradients(self, bench: Bench, weights: Sequence[nn.Parameter] = ()) -> float:
        """One pass over the active path, and what the execution adds for the other gates."""
        whole, old = bench.mask, bench.arch.alpha.detach().clone()
        if self.pair:
            noisy = gumbel(log_softmax(old, whole), bench.alpha_rng)
            rank = noisy.argsort(1, descending=True).argsort(1)
            bench.mask = whole & (rank < 2)
        try:
            z = bench.draw().z.detach().requires_grad_()
            loss = bench.objective(z, bench.batch(self.data))
            (slope,) = torch.autograd.grad(loss, z)
            p = softmax(old, bench.mask)
            bench.arch.alpha.grad = p * (slope - (p * slope).sum(1, keepdim=True))
            self._keep(bench, old, bench.mask)
        finally:
            bench.mask = whole
        return float(loss.detach())

    def _keep(self, bench: Bench, old: Tensor, pair: Tensor) -> None:
        arch: Any = bench.arch
        arch.pair = (old, pair) if self.pair else None

    def after(self, bench: Bench) -> None:
        """The pair's sum of exp(alpha) is what it was."""
        arch: Any = bench.arch
        if not self.pair:
            return
        old, pair = arch.pair
        with torch.no_grad():
            new = arch.alpha.where(pair, old)  # others do not move
            before = old.where(pair, -torch.inf).logsumexp(1, keepdim=True)
            now = new.where(pair, -torch.inf).logsumexp(1, keepdim=True)
            arch.alpha.copy_(torch.where(pair, new - (now - before), old))


def _of(arch: nn.Module) -> list[nn.Parameter]:
    return [p for p in arch.parameters() if p.requires_grad]


def _give(loss: Tensor, params: Sequence[nn.Parameter]) -> None:
    for p, g in zip(params, torch.autograd.grad(loss, params, allow_unused=True), strict=True):
        p.grad = g


@torch.no_grad()
def _restore(params: Sequence[nn.Parameter], kept: Sequence[Tensor]) -> None:
    for p, old in zip(params, kept, strict=True):
        p.copy_(old)
