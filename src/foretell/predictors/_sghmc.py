"""Stochastic gradient Hamiltonian Monte Carlo with step sizes adapted to each parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor


def sghmc(
    potential: Callable[[], Tensor],
    start: list[Tensor],
    *,
    burn_in: int,
    samples: int,
    every: int,
    rate: float,
    friction: float,
    generator: torch.Generator,
) -> Iterator[list[Tensor]]:
    """Samples of exp(-U): `samples` states, `every` steps apart, after `burn_in` steps.

        v' = (1 - a) v - e^2 V^-1/2 grad U(x) + N(0, (2 a - a^2) e^2 V^-1/2),    x' = x + v'

    V is a running mean of the squared gradients, taken during the burn-in with a window that
    adapts itself, and fixed after that; a is the friction, e the rate. Any leading axis of x may
    count chains: they are independent where U is a sum over chains.

    Args:
        potential: U of the current values of `start`, a scalar, or an unbiased estimate of it.
        start: leaf tensors with `requires_grad`; they are changed in place.

    References: Chen et al. 2014, Stochastic Gradient Hamiltonian Monte Carlo; Springenberg et al.
    2016, Bayesian Optimization with Robust Bayesian Neural Networks, equations 7 to 10.
    Differs: the noise of the gradient is not subtracted from the injected noise; (2 a - a^2)
    instead of 2 a keeps v's variance exact for large a.
    """
    mean = [torch.zeros_like(x) for x in start]  # of the gradient
    square = [torch.ones_like(x) for x in start]
    window = [torch.ones_like(x) for x in start]
    speed = [torch.zeros_like(x) for x in start]
    for step in range(1, burn_in + samples * every + 1):
        gradients = torch.autograd.grad(potential(), start)
        with torch.no_grad():
            for i, (x, g) in enumerate(zip(start, gradients, strict=True)):
                if step <= burn_in:
                    share = 1.0 / (window[i] + 1.0)
                    shrink = mean[i].square() / square[i]
                    window[i] += 1.0 - window[i] * shrink
                    mean[i] += share * (g - mean[i])
                    square[i] += share * (g.square() - square[i])
                mass = rate**2 / (square[i].sqrt() + 1e-8)
                push = torch.randn(x.shape, generator=generator, dtype=x.dtype)
                noise = ((2.0 - friction) * friction * mass).sqrt()
                speed[i].mul_(1.0 - friction).add_(noise * push - mass * g)
                x += speed[i]
        if step > burn_in and (step - burn_in) % every == 0:
            yield [x.detach().clone() for x in start]
