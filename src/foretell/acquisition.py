"""What a trial promises: scores of candidates from a mean and how sure it is, larger is better."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from foretell.errors import DataError, SettingError

Floats = NDArray[np.float64]
Acquisition = Literal["mean", "ei", "pi", "ucb", "ts", "its"]
NAMES: tuple[str, ...] = get_args(Acquisition)


def expected_improvement(mean: ArrayLike, std: ArrayLike, best: float) -> Floats:
    """EI = E[max(Y - best, 0)] of Y ~ N(mean, std^2).

    It is std (g Phi(g) + phi(g)) with g = (mean - best) / std; where std is 0, max(mean - best, 0).

    Shapes: (n,) and (n,) to (n,).

    References: Jones et al., Efficient Global Optimization of Expensive Black-Box Functions, 1998,
    equation 15.

    >>> expected_improvement([0.0, 1.0], [1.0, 0.0], 0.0).round(6).tolist()
    [0.398942, 1.0]
    """
    mean, std = _both(mean, std)
    gain, g = mean - best, _gap(mean, std, best)
    density = np.exp(-0.5 * np.square(g)) / np.sqrt(2 * np.pi)
    return np.asarray(np.where(std > 0, gain * ndtr(g) + std * density, np.maximum(gain, 0.0)))


def probability_of_improvement(mean: ArrayLike, std: ArrayLike, best: float) -> Floats:
    """PI = P(Y > best) of Y ~ N(mean, std^2): Phi((mean - best) / std).

    Where std is 0 it is 0, 1/2 or 1.

    Shapes: (n,) and (n,) to (n,).

    References: Kushner, A New Method of Locating the Maximum Point of an Arbitrary Multipeak
    Curve, 1964.

    >>> probability_of_improvement([0.0, 1.0, 2.0], [1.0, 1.0, 0.0], 1.0).round(6).tolist()
    [0.158655, 0.5, 1.0]
    """
    mean, std = _both(mean, std)
    certain = 0.5 * (1 + np.sign(mean - best))
    return np.asarray(np.where(std > 0, ndtr(_gap(mean, std, best)), certain))


def upper_bound(mean: ArrayLike, std: ArrayLike, beta: float = 1.0) -> Floats:
    """UCB = mean + beta std; a negative beta is the careful, lower bound.

    Shapes: (n,) and (n,) to (n,).

    References: Srinivas et al., Gaussian Process Optimization in the Bandit Setting, ICML 2010
    (there the square root of beta_t).

    >>> upper_bound([0.0, 1.0], [1.0, 0.5], beta=2.0).tolist()
    [2.0, 2.0]
    """
    mean, std = _both(mean, std)
    return np.asarray(mean + beta * std)


def independent_draws(mean: ArrayLike, std: ArrayLike, rng: np.random.Generator) -> Floats:
    """ITS: a draw from N(mean, std^2) for each candidate, independently of the others.

    Shapes: (n,) and (n,) to (n,).

    References: White et al., BANANAS, AAAI 2021, section 4.

    >>> independent_draws([0.0, 5.0], [0.0, 0.0], np.random.default_rng(0)).tolist()
    [0.0, 5.0]
    """
    mean, std = _both(mean, std)
    return np.asarray(mean + std * rng.normal(size=mean.shape))


def scores(
    kind: Acquisition,
    mean: ArrayLike,
    std: ArrayLike | None,
    best: float,
    rng: np.random.Generator,
    beta: float = 1.0,
) -> Floats:
    """The acquisition `kind`, (n,); "mean" and "ts" are the mean itself.

    A Thompson sample ("ts") is the mean of a model that was drawn: whoever has the model draws it.

    Args:
        kind: one of `NAMES`.
        mean: predictions, (n,).
        std: their standard deviations, (n,); None only where none is used.
        best: the value to improve on, for "ei" and "pi".
        rng: of the draws of "its".
        beta: of "ucb".

    Raises: SettingError for another kind, or one that needs a deviation where there is none.
    """
    if kind not in NAMES:
        raise SettingError("acquisition", expected="one of " + ", ".join(NAMES), got=repr(kind))
    if kind in ("mean", "ts"):
        return np.asarray(mean, dtype=np.float64)
    if std is None:
        raise SettingError(
            f"acquisition {kind!r} needs an uncertainty, which this predictor does not have",
            expected="acquisition 'mean' or 'ts', or a predictor with an uncertainty",
            hint="`foretell list predictors` marks those",
        )
    if kind == "ei":
        return expected_improvement(mean, std, best)
    if kind == "pi":
        return probability_of_improvement(mean, std, best)
    return upper_bound(mean, std, beta) if kind == "ucb" else independent_draws(mean, std, rng)


def _both(mean: ArrayLike, std: ArrayLike) -> tuple[Floats, Floats]:
    mu, sigma = np.asarray(mean, dtype=np.float64), np.asarray(std, dtype=np.float64)
    if mu.shape != sigma.shape or (sigma < 0).any():
        raise DataError(
            "standard deviations",
            expected=f"shape {mu.shape}, none below 0",
            got=f"shape {sigma.shape}, smallest {sigma.min(initial=0.0)}",
        )
    return mu, sigma


def _gap(mean: Floats, std: Floats, best: float) -> Floats:
    """(mean - best) / std; 0 where std is 0."""
    return np.divide(mean - best, std, out=np.zeros_like(mean), where=std > 0)
