"""Parametric families of learning curves, and a prior of curves that are mixtures of them.

A family is a function of the epoch x whose parameters come from standard normal numbers z, so
that each draw of z is a plausible curve: c, where it goes (its limit, or its value at the
horizon), and s, the share of c that it has at x = 1, lie between 0 and 1 by a logistic map, rates
and times are log-normal, times in units of the horizon. The formulas are those of Domhan et al.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logsumexp

from foretell.evidence.curves.base import Floats

Formula = Callable[[Floats, float, Floats], Floats]  # x (t,), horizon, z (..., p) -> (..., t)


class Family(NamedTuple):
    """How many numbers it has, and its curve."""

    size: int
    curve: Formula


def _ends(z: Floats) -> tuple[Floats, Floats]:
    """c and the value at the start, (..., 1) each."""
    c = expit(1.0 + 1.3 * z[..., :1])
    return c, c * expit(1.3 * z[..., 1:2])


def _log_normal(z: Floats, k: int, mean: float, spread: float) -> Floats:
    found: Floats = np.exp(mean + spread * z[..., k : k + 1])
    return found


def _pow3(x: Floats, horizon: float, z: Floats) -> Floats:
    """c - a x^-alpha."""
    c, v = _ends(z)
    found: Floats = c - (c - v) * x ** -_log_normal(z, 2, -0.3, 0.7)
    return found


def _pow4(x: Floats, horizon: float, z: Floats) -> Floats:
    """c - (a x + b)^-alpha."""
    c, v = _ends(z)
    alpha, share = _log_normal(z, 2, -0.3, 0.7), expit(z[..., 3:4])
    return np.asarray(c - (c - v) * (share * x + 1 - share) ** -alpha)


def _log_log_linear(x: Floats, horizon: float, z: Floats) -> Floats:
    """log(a log x + b)."""
    c, v = _ends(z)
    b = np.exp(v)
    return np.asarray(np.log((np.exp(c) - b) / np.log(horizon) * np.log(x) + b))


def _log_power(x: Floats, horizon: float, z: Floats) -> Floats:
    """a / (1 + (x / e^b)^c)."""
    c, v = _ends(z)
    rate = _log_normal(z, 2, -0.3, 0.6)
    return c / (1 + (c / v - 1) * x**-rate)  # e^(b rate) = c / v - 1, by the value at x = 1


def _mmf(x: Floats, horizon: float, z: Floats) -> Floats:
    """alpha - (alpha - beta) / (1 + (kappa x)^delta)."""
    c, v = _ends(z)
    kappa = 1 / (horizon * _log_normal(z, 2, -2.0, 1.2))
    delta = _log_normal(z, 3, 0.0, 0.5)
    return c - (c - v) * (1 + kappa**delta) / (1 + (kappa * x) ** delta)


def _hill3(x: Floats, horizon: float, z: Floats) -> Floats:
    """theta x^eta / (kappa^eta + x^eta)."""
    c, _ = _ends(z)
    kappa, eta = horizon * _log_normal(z, 1, -2.5, 1.2), _log_normal(z, 2, -0.3, 0.6)
    found: Floats = c / (1 + (kappa / x) ** eta)
    return found


def _vapor(x: Floats, horizon: float, z: Floats) -> Floats:
    """exp(a + b / x + c log x)."""
    c, v = _ends(z)
    slope = _log_normal(z, 2, -3.0, 1.0)
    b = (np.log(v / c) + slope * np.log(horizon)) / (1 - 1 / horizon)
    return np.asarray(c * np.exp(b * (1 / x - 1 / horizon) + slope * np.log(x / horizon)))


def _exp4(x: Floats, horizon: float, z: Floats) -> Floats:
    """c - exp(-a x^alpha + b)."""
    c, v = _ends(z)
    a, alpha = _log_normal(z, 2, -0.5, 1.0), _log_normal(z, 3, -0.5, 0.4)
    return c - (c - v) * np.exp(-a * (x**alpha - 1))


def _weibull(x: Floats, horizon: float, z: Floats) -> Floats:
    """alpha - (alpha - beta) exp(-(kappa x)^delta)."""
    c, v = _ends(z)
    kappa = 1 / (horizon * _log_normal(z, 2, -1.5, 1.2))
    delta = _log_normal(z, 3, -0.3, 0.4)
    return c - (c - v) * np.exp(kappa**delta - (kappa * x) ** delta)


def _janoschek(x: Floats, horizon: float, z: Floats) -> Floats:
    """alpha - (alpha - beta) exp(-kappa x^delta)."""
    c, v = _ends(z)
    kappa, delta = _log_normal(z, 2, -1.0, 1.0), _log_normal(z, 3, -0.7, 0.4)
    return c - (c - v) * np.exp(-kappa * (x**delta - 1))


def _ilog2(x: Floats, horizon: float, z: Floats) -> Floats:
    """c - a / log(x + 1)."""
    c, v = _ends(z)
    a = (c - v) / (1 / np.log(2.0) - 1 / np.log(horizon + 1))
    found: Floats = c + a * (1 / np.log(horizon + 1) - 1 / np.log(x + 1))
    return found


FAMILIES: Mapping[str, Family] = {
    "pow3": Family(3, _pow3),
    "pow4": Family(4, _pow4),
    "log-log-linear": Family(2, _log_log_linear),
    "log-power": Family(3, _log_power),
    "mmf": Family(4, _mmf),
    "hill3": Family(3, _hill3),
    "vapor": Family(3, _vapor),
    "exp4": Family(4, _exp4),
    "weibull": Family(4, _weibull),
    "janoschek": Family(4, _janoschek),
    "ilog2": Family(2, _ilog2),
}
FOUR = ("log-log-linear", "log-power", "mmf", "hill3")  # those of the study of White et al.
_NOISE = (-4.3, 0.8)  # of log sigma


class Mixture:
    """sum_k w_k f_k(x; theta_k) + N(0, sigma^2), all of it from standard normal numbers.

    w = softmax of K numbers, log sigma = -4.3 + 0.8 z.

    Args:
        names: of `FAMILIES`.
        horizon: epochs of a whole training, at least 2.

    >>> model = Mixture(FOUR, 50)
    >>> curves, sigma = model.curves(np.zeros((1, model.size)), np.arange(1.0, 51.0))
    >>> curves.shape, bool((np.diff(curves) > 0).all())
    ((1, 50), True)
    """

    def __init__(self, names: Sequence[str], horizon: float) -> None:
        self.families = [FAMILIES[name] for name in names]
        self.horizon = float(horizon)
        self.size = sum(one.size + 1 for one in self.families) + 1

    def curves(self, z: Floats, x: Floats) -> tuple[Floats, Floats]:
        """Curves (..., t) at epochs x (t,), and sigma (...,), of numbers (..., size)."""
        k = len(self.families)
        weights = np.exp(z[..., :k] - logsumexp(z[..., :k], axis=-1, keepdims=True))
        total, at = np.zeros((*z.shape[:-1], len(x))), k
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # far out, 1 / inf = 0
            for i, family in enumerate(self.families):
                part = family.curve(x, self.horizon, z[..., at : at + family.size])
                total += weights[..., i : i + 1] * part
                at += family.size
        mean, spread = _NOISE
        return total, np.exp(mean + spread * z[..., -1])
