"""Slopes of amounts: more is better, but where results contradict."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import nnls

from foretell.predictors.base import Floats

_CONTRADICTED = 1.5  # standard deviations


def rising(S: Floats, L: Floats, y: Floats, of: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which slopes take part in y = S b + e, b ~ N(0, I), e ~ N(0, L L'), if none may fall.

    The mode of b under b_i >= 0 is that of the process whose linear part has the features with
    b_i > 0 alone (non-negative least squares). A group g of features that falls is turned round,
    one after the other, where what is left of y says so: with C the covariance of y that the
    present features give and h_g the sum of the group's,

        z_g = h_g' C^-1 y / sqrt(h_g' C^-1 h_g) < -1.5,

    which is standard normal where the group has nothing more to say.

    Args:
        S: features times the deviations of their slopes, (n, f).
        L: factor of the covariance of what is not linear, noise included, (n, n).
        y: centred scores, (n,).
        of: group of each feature, from 0, (f,).

    Returns: whether each takes part, (f,).

    References: Lawson & Hanson 1974, Solving least squares problems, chapter 23; Rasmussen &
    Williams 2006, section 2.7 (a process with a linear part).

    >>> x = np.linspace(-1.0, 1.0, 20)[:, None]
    >>> rising(np.hstack([x, -x]), 0.1 * np.eye(20), x[:, 0], np.arange(2))
    array([ True, False])
    >>> rising(-x, 0.1 * np.eye(20), x[:, 0], np.arange(1))  # turned round
    array([ True])
    """
    A, b = (solve_triangular(L, one, lower=True) for one in (S, y))
    f, sign = S.shape[1], np.ones(of.max() + 1)
    together = (of[:, None] == np.arange(len(sign))) * 1.0
    right = np.concatenate([b, np.zeros(f)])
    for _ in range(len(sign) + 1):
        w, _ = nnls(np.concatenate([A * sign[of], np.eye(f)]), right, maxiter=30 * f)
        inside: NDArray[np.bool_] = w > 0
        C = cho_factor(np.eye(len(y)) + (A * inside) @ A.T)
        h = A @ (together * sign)
        deviation = np.sqrt(np.maximum(np.einsum("ig,ig->g", h, cho_solve(C, h)), 1e-12))
        z = np.where(sign > 0, h.T @ cho_solve(C, b) / deviation, np.inf)
        if z.min() >= -_CONTRADICTED:
            break
        sign[z.argmin()] = -1.0
    return inside
