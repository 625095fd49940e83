"""Stochastic gradient Hamiltonian Monte Carlo with step sizes adapted to each parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor


def sghmc(
    potential: Callable[[Tensor], Tensor],
    start: Tensor,
    *,
    burn_in: int,
    samples: int,
    every: int,
    rate: float,
    friction: float,
    generator: torch.Generator,
) -> Iterator[Tensor]:
    """Samples of exp(-U): `samples` states, `every` steps apart, after `burn_in` steps.

        v' = (1 - a) v - e^2 V^-1/2 grad U(x) + N(0, (2 a - a^2) e^2 V^-1/2),    x' = x + v'

    V is a running mean of the squared gradients, taken during the burn-in with a window that
    adapts itself, and fixed after that; a is the friction, e the rate. Any leading axis of x may
    count chains: they are independent where U is a sum over chains.

    Args:
        potential: U of a state, a scalar, or an unbiased estimate of it.
        start: the first state; it is left as it is.

    References: Chen et al. 2014, Stochastic Gradient Hamiltonian Monte Carlo; Springenberg et al.
    2016, Bayesian Optimization with Robust Bayesian Neural Networks, equations 7 to 10.
    Differs: the noise of the gradient is not subtracted from the injected noise; (2 a - a^2)
    instead of 2 a keeps v's variance exact for large a.
    """
    x = start.detach().clone().requires_grad_()
    mean, speed, push = (torch.zeros_like(start) for _ in range(3))  # mean of the gradient
    square, window = torch.ones_like(start), torch.ones_like(start)
    for step in range(1, burn_in + samples * every + 1):
        (g,) = torch.autograd.grad(potential(x), x)
        with torch.no_grad():
            if step <= burn_in:
                shrink = mean.square().div_(square)
                share = (window + 1.0).reciprocal_()
                window.mul_(shrink.neg_().add_(1.0)).add_(1.0)
                mean.add_((g - mean).mul_(share))
                square.add_(g.square().sub_(square).mul_(share))
                mass = (square.sqrt() + 1e-8).reciprocal_().mul_(rate**2)
                noise = ((2.0 - friction) * friction * mass).sqrt_()
            push.normal_(generator=generator)
            speed.mul_(1.0 - friction).addcmul_(noise, push).addcmul_(mass, g, value=-1.0)
            x += speed
        if step > burn_in and (step - burn_in) % every == 0:
            yield x.detach().clone()
