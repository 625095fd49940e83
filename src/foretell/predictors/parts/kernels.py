"""Kernels of Gaussian processes, as functions of a squared distance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from foretell.predictors.base import Floats

Kernel = Literal["matern", "rbf", "exponential", "linear"]


def _matern(q: Floats) -> tuple[Floats, Floats]:
    r = 3.0 * q  # in place from here on: a pass through memory costs as much as a root
    np.sqrt(r, out=r)
    decay = np.negative(r)
    np.exp(decay, out=decay)
    r += 1.0
    r *= decay
    decay *= 1.5
    return r, decay


def _rbf(q: Floats) -> tuple[Floats, Floats]:
    f = np.exp(-0.5 * q)
    return f, 0.5 * f


def _exponential(q: Floats) -> tuple[Floats, Floats]:
    r = np.sqrt(q)
    f = np.exp(-r)
    return f, 0.5 * f / np.maximum(r, 1e-9)


def _linear(q: Floats) -> tuple[Floats, Floats]:
    return 1.0 - 0.5 * q, np.full_like(q, 0.5)


# f(q) and -df/dq
KERNELS: dict[str, Callable[[Floats], tuple[Floats, Floats]]] = {
    "matern": _matern,
    "rbf": _rbf,
    "exponential": _exponential,
    "linear": _linear,
}
