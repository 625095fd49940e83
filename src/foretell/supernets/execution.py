"""How the options of a site are run."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from foretell.nets.supernet.mixed import Mixed, Supernet

Combine = Callable[[Mixed, Tensor, tuple[int, ...]], Tensor]


@dataclass(frozen=True)
class Execution(ABC):
    """How a forward pass runs the options of a site.

    Args:
        divisor: 1/divisor of the channels goes through the options, the others pass by.
        edge_norm: sites of a node are weighed by a softmax of a second parameter, beta.
        skip_drop: the most of what identities give that is dropped.
        path_drop: the highest rate at which other operations are left out, an example at a time.
    """

    divisor: int = 1
    edge_norm: bool = False
    skip_drop: float = 0.0
    path_drop: float = 0.0
    needs_hard: ClassVar[bool] = False
    gates: ClassVar[bool] = False  # for alpha's steps it gives the gradient of all options

    @abstractmethod
    def show(self, net: Supernet, z: Tensor, mask: Tensor, *, alpha: bool = False) -> None:
        """Put weights on the net's board.

        Args:
            net: the network.
            z: weights, (E, K).
            mask: options that are there, (E, K).
            alpha: whether this pass is for alpha's gradient.
        """


@dataclass(frozen=True)
class Full(Execution):
    """All options that are there run; their sum by weight.

    For alpha's gradient an option of weight 0 runs too.
    """

    def show(self, net: Supernet, z: Tensor, mask: Tensor, *, alpha: bool = False) -> None:
        """Put weights on the net's board."""
        net.board.show(z, (mask if alpha else mask & (z.detach() != 0)).tolist())


@dataclass(frozen=True)
class Single(Execution):
    """Only options of weight 1 run, and are multiplied by it, which keeps the gradient.

    Args:
        all_for_alpha: in steps of alpha all options run, so that all have a gradient (NASP).
    """

    all_for_alpha: bool = False
    needs_hard: ClassVar[bool] = True

    def show(self, net: Supernet, z: Tensor, mask: Tensor, *, alpha: bool = False) -> None:
        """Put weights on the net's board."""
        with torch.no_grad():
            on = mask if alpha and self.all_for_alpha else z.round() != 0
        net.board.show(z, on.tolist())


@dataclass(frozen=True)
class Gates(Execution):
    """One option runs; for alpha's gradient the loss's slope in each gate is found as well.

    Args:
        how: "full" runs all options, of which one has weights that learn; "recompute" runs the
            others when the gradient comes back, one at a time and without a graph: the memory of
            one path, the time of all; "pair" draws two options by their probabilities, and learns
            about these alone.

    References: Cai et al., ProxylessNAS, ICLR 2019, section 3.2.
    """

    how: str = "recompute"
    needs_hard: ClassVar[bool] = True
    gates: ClassVar[bool] = True

    def show(self, net: Supernet, z: Tensor, mask: Tensor, *, alpha: bool = False) -> None:
        """Put weights on the net's board."""
        on = (z.detach() != 0) if not alpha else mask
        combine: Combine | None = None
        if alpha:
            combine = _recompute if self.how == "recompute" else _gated
        net.board.show(z, on.tolist(), combine)


def skip_drop(rate: float, epoch: int, epochs: int) -> float:
    """P-DARTS: falls linearly in the first 10 of 25 epochs, then by powers from the rate again.

    >>> [round(skip_drop(0.4, t, 25), 4) for t in (0, 1, 9, 10, 11)]
    [0.384, 0.368, 0.24, 0.4, 0.3275]
    """
    warm = round(0.4 * epochs)
    if epoch < warm:
        return rate * (epochs - epoch - 1) / epochs
    return rate * math.exp(-0.2 * (epoch - warm) * 25 / epochs)


def _gated(mixed: Mixed, x: Tensor, live: tuple[int, ...]) -> Tensor:
    """sum_k z_k o_k(x); options of weight 0 have no weights that learn."""
    z = mixed.board.z[mixed.site]
    out: Tensor | None = None
    for k in live:
        if bool(z[k].detach() != 0):
            term = mixed.option(k, x)
        else:
            with torch.no_grad():
                term = mixed.option(k, x)
        term = term * z[k]
        out = term if out is None else out + term
    assert out is not None
    return out


class _Recompute(torch.autograd.Function):
    """The active option's result; in the backward pass <o_k(x), dL/dy> for every gate k."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, z: Tensor, x: Tensor, mixed: Mixed, live: Any) -> Tensor:
        ctx.save_for_backward(x)
        ctx.mixed, ctx.live, ctx.n = mixed, live, z.shape
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        slope = x.new_zeros(ctx.n)
        with torch.no_grad():
            for k in ctx.live:
                slope[k] = (ctx.mixed.option(k, x) * grads[0]).sum()
        return grads[0], slope, None, None, None


def _recompute(mixed: Mixed, x: Tensor, live: tuple[int, ...]) -> Tensor:
    z = mixed.board.z[mixed.site]
    active = [k for k in live if bool(z[k].detach() != 0)]
    if active:  # its weight is 1; the slope in it is found with the others
        y = mixed.option(active[0], x)
        for k in active[1:]:
            y = y + mixed.option(k, x)
    else:
        with torch.no_grad():
            y = torch.zeros_like(mixed.option(live[0], x))
    scaled: Tensor = _Recompute.apply(y, z, x.detach(), mixed, live)  # type: ignore[no-untyped-call]  # torch has no types here
    return scaled
