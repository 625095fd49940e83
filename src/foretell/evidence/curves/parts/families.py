"""Parametric families of learning curves as ramps, and two models that are made of them.

A family of Domhan et al. is a limit, a gap and a shape. Its ramp is the shape alone, brought to 0
at the first epoch and to 1 at the horizon, so that limit and gap are linear: a curve is a start
plus what each family rises. Shapes come from standard normal numbers z, rates log-normal and times
in units of the horizon, so that each draw of z is a plausible curve.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logsumexp

from foretell.evidence.curves.base import Floats

Formula = Callable[[Floats, float, Floats], Floats]  # x (t,), horizon, z (..., p) -> (..., t)


class Family(NamedTuple):
    """How many numbers its shape has, and the shape, which rises."""

    size: int
    shape: Formula

    def ramp(self, x: Floats, horizon: float, z: Floats) -> Floats:
        """The shape, from 0 at x = 1 to 1 at the horizon, (..., t)."""
        with np.errstate(over="ignore", under="ignore"):  # far out, 1 / inf = 0
            g = self.shape(np.concatenate([x, [1.0, horizon]]), horizon, z)
        low, high = g[..., -2:-1], g[..., -1:]
        found: Floats = (g[..., :-2] - low) / np.maximum(high - low, 1e-12)
        return found


def _rate(z: Floats, k: int, mean: float, spread: float) -> Floats:
    return np.exp(mean + spread * np.clip(z[..., k : k + 1], -4, 4))


def _pow3(x: Floats, horizon: float, z: Floats) -> Floats:
    """c - a x^-alpha."""
    return np.asarray(-(x ** -_rate(z, 0, -0.3, 0.7)))


def _pow4(x: Floats, horizon: float, z: Floats) -> Floats:
    """c - (a x + b)^-alpha."""
    share = expit(z[..., 1:2])
    return np.asarray(-((share * x + 1 - share) ** -_rate(z, 0, -0.3, 0.7)))


def _log_log_linear(x: Floats, horizon: float, z: Floats) -> Floats:
    """log(a log x + b)."""
    return np.asarray(np.log1p(_rate(z, 0, 0.0, 1.0) * np.log(x)))


def _log_power(x: Floats, horizon: float, z: Floats) -> Floats:
    """a / (1 + (x / e^b)^c)."""
    return np.asarray(1 / (1 + _rate(z, 0, 1.0, 1.2) * x ** -_rate(z, 1, -0.2, 0.6)))


def _mmf(x: Floats, horizon: float, z: Floats) -> Floats:
    """alpha - (alpha - beta) / (1 + (kappa x)^delta)."""
    kappa = 1 / (horizon * _rate(z, 0, -2.0, 1.2))
    return np.asarray(-1 / (1 + (kappa * x) ** _rate(z, 1, 0.0, 0.5)))


def _hill3(x: Floats, horizon: float, z: Floats) -> Floats:
    """theta x^eta / (kappa^eta + x^eta)."""
    kappa = horizon * _rate(z, 0, -2.5, 1.2)
    return np.asarray(1 / (1 + (kappa / x) ** _rate(z, 1, -0.3, 0.6)))


def _vapor(x: Floats, horizon: float, z: Floats) -> Floats:
    """exp(a + b / x + c log x)."""
    return np.asarray(np.exp(-_rate(z, 0, 0.0, 0.8) / x + _rate(z, 1, -3.0, 1.0) * np.log(x)))


def _exp4(x: Floats, horizon: float, z: Floats) -> Floats:
    """c - exp(-a x^alpha + b)."""
    return np.asarray(-np.exp(-_rate(z, 0, -0.5, 1.0) * (x ** _rate(z, 1, -0.5, 0.4) - 1)))


def _weibull(x: Floats, horizon: float, z: Floats) -> Floats:
    """alpha - (alpha - beta) exp(-(kappa x)^delta)."""
    kappa = 1 / (horizon * _rate(z, 0, -1.5, 1.2))
    return np.asarray(-np.exp(-((kappa * x) ** _rate(z, 1, -0.3, 0.4))))


def _janoschek(x: Floats, horizon: float, z: Floats) -> Floats:
    """alpha - (alpha - beta) exp(-kappa x^delta)."""
    return np.asarray(-np.exp(-_rate(z, 0, -1.0, 1.0) * (x ** _rate(z, 1, -0.7, 0.4) - 1)))


def _ilog2(x: Floats, horizon: float, z: Floats) -> Floats:
    """c - a / log(x + 1)."""
    return np.broadcast_to(-1 / np.log(x + 1), (*z.shape[:-1], len(x)))


FAMILIES: Mapping[str, Family] = {
    "pow3": Family(1, _pow3),
    "pow4": Family(2, _pow4),
    "log-log-linear": Family(1, _log_log_linear),
    "log-power": Family(2, _log_power),
    "mmf": Family(2, _mmf),
    "hill3": Family(2, _hill3),
    "vapor": Family(2, _vapor),
    "exp4": Family(2, _exp4),
    "weibull": Family(2, _weibull),
    "janoschek": Family(2, _janoschek),
    "ilog2": Family(0, _ilog2),
}
FOUR = ("log-log-linear", "log-power", "mmf", "hill3")  # those of the study of White et al.
_NOISE = (-4.6, 1.0)  # of log sigma
_START = (0.5, 0.3)  # mean and deviation of the value at the first epoch
_RISE = (0.3, 0.3)  # and of what all families rise together


def ramps(families: Sequence[Family], x: Floats, horizon: float, z: Floats) -> Floats:
    """Ramps (..., t, k) at epochs x (t,) of shapes z, those of all families side by side."""
    ends = np.cumsum([one.size for one in families])
    parts = [
        one.ramp(x, horizon, z[..., end - one.size : end])
        for one, end in zip(families, ends, strict=True)
    ]
    return np.stack(parts, axis=-1)


def noise(z: Floats) -> Floats:
    """sigma of standard normal numbers."""
    mean, spread = _NOISE
    return np.exp(mean + spread * np.clip(z, -4, 4))


class Mixture:
    """v + (c - v) sum_k w_k ramp_k(x) + N(0, sigma^2), all of it from standard normal numbers.

    c, the value at the horizon, and v / c, the share that is there at the start, lie between 0 and
    1 by a logistic map, so curves rise; w is a softmax.

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
        self.size = 3 + len(names) + sum(one.size for one in self.families)

    def curves(self, z: Floats, x: Floats) -> tuple[Floats, Floats]:
        """Curves (..., t) at epochs x (t,), and sigma (...,), of numbers (..., size)."""
        k = len(self.families)
        c = expit(1.0 + 1.3 * z[..., 1:2])
        v = c * expit(1.3 * z[..., 2:3])
        w = np.exp(z[..., 3 : 3 + k] - logsumexp(z[..., 3 : 3 + k], axis=-1, keepdims=True))
        R = ramps(self.families, x, self.horizon, z[..., 3 + k :])
        return v + (c - v) * (R @ w[..., None])[..., 0], noise(z[..., 0])


class Linear(NamedTuple):
    """What is known of start and rises given shapes and noise, for each state (m, c)."""

    log_likelihood: Floats  # (m, c), start and rises integrated out
    mean: Floats  # of the value at the horizon, (m, c)
    variance: Floats  # of it, without the noise of a measurement


class Ensemble:
    """b_0 + sum_k b_k ramp_k(x) + N(0, sigma^2), with normal b that are integrated out.

    b_0 ~ N(.5, .3^2), and each of the K rises N(.3 / K, .3^2 / K); only shapes and sigma are left
    to be sampled, by standard normal numbers.

    Args:
        names: of `FAMILIES`.
        horizon: epochs of a whole training, at least 2.
    """

    def __init__(self, names: Sequence[str], horizon: float) -> None:
        self.families = [FAMILIES[name] for name in names]
        self.horizon = float(horizon)
        self.size = 1 + sum(one.size for one in self.families)
        k = len(self.families)
        self.mean = np.append(_START[0], np.full(k, _RISE[0] / k))
        self.variance = np.append(_START[1] ** 2, np.full(k, _RISE[1] ** 2 / k))

    def given(self, z: Floats, x: Floats, scores: Floats) -> Linear:
        """Of numbers z (m, c, size) and scores (m, t) at epochs x (t,).

        With design matrix F: S = F'F / sigma^2 + V^-1 is the posterior's precision, and the
        likelihood follows from it by the matrix determinant and inversion lemmas.
        """
        R = ramps(self.families, x, self.horizon, z[..., 1:])
        F = np.concatenate([np.ones((*R.shape[:-1], 1)), R], axis=-1)
        precision = noise(z[..., 0]) ** -2
        r = scores[:, None] - F @ self.mean
        S = precision[..., None, None] * (F.swapaxes(-1, -2) @ F) + np.diag(1 / self.variance)
        b = precision[..., None] * (r[..., None, :] @ F)[..., 0, :]
        ends = np.broadcast_to(np.ones_like(self.mean), b.shape)  # all ramps are 1 at the horizon
        solved = np.linalg.solve(S, np.stack([b, ends], axis=-1))
        fit = precision * (r**2).sum(axis=-1) - (b * solved[..., 0]).sum(axis=-1)
        log_det = np.linalg.slogdet(S)[1] - len(x) * np.log(precision)
        found = -(fit + log_det + np.log(self.variance).sum()) / 2
        mean = self.mean.sum() + solved[..., 0].sum(axis=-1)
        return Linear(found, mean, solved[..., 1].sum(axis=-1))
