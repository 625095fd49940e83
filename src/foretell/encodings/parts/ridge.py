"""A smooth function through few rows: kernel ridge, its kernel chosen by rows left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from foretell.encodings.base import Encoding
from foretell.encodings.parts.standard import Floats, Standard, squares
from foretell.spaces.base import Rows

Kernel = Callable[[Floats, Floats], Floats]
_RIDGES = (1e-4, 1e-3, 1e-2, 1e-1)  # shares of the kernel's mean diagonal


def _gauss(length: float) -> Kernel:
    def kernel(A: Floats, B: Floats) -> Floats:
        found: Floats = np.exp(squares(A, B) / (-2 * length**2))
        return found

    return kernel


def _polynomial(bias: float, degree: int) -> Kernel:
    def kernel(A: Floats, B: Floats) -> Floats:
        found: Floats = (bias + A @ B.T) ** degree
        return found

    return kernel


_KERNELS = (
    *(_gauss(length) for length in (1.0, 2.0, 4.0)),
    *(_polynomial(bias, 2) for bias in (0.3, 1.0, 3.0)),
    _polynomial(1.0, 3),
)


class Ridge:
    """Foretells numbers (n, t) of rows by those of a few.

        y(x) = mean + k(x, X) (k(X, X) + r I)^-1 (Y - mean),

    where the encodings that x is seen by, the kernel k and the ridge r are those with the least
    error of each row foretold by the others, e_i = a_i / (k(X, X) + r I)^-1_ii with
    a = (k(X, X) + r I)^-1 (Y - mean), in standard deviations of each number.

    Args:
        views: sets of encodings to choose from.
        X: rows, (n, d).
        Y: their numbers, (n, t).
    """

    def __init__(self, views: Sequence[Sequence[Encoding]], X: Rows, Y: Floats) -> None:
        self.mean, std = Y.mean(axis=0), Y.std(axis=0)
        self.scale = np.where(std > 1e-9, std, 1.0)
        Z, least = (Y - self.mean) / self.scale, np.inf
        for encodings in views:
            view = [Standard(one, X, varying=True) for one in encodings]
            F = _beside(view, X)
            for kernel in _KERNELS:
                K = kernel(F, F)
                for ridge in _RIDGES:
                    inverse = np.linalg.inv(K + ridge * np.trace(K) / len(K) * np.eye(len(K)))
                    weights = inverse @ Z
                    error = float(((weights / np.diag(inverse)[:, None]) ** 2).mean())
                    if error < least:
                        least, self.view, self.kernel = error, view, kernel
                        self.known, self.weights = F, weights

    def predict(self, X: Rows) -> Floats:
        """Numbers (n, t) of rows (n, d)."""
        found: Floats = self.mean + self.scale * (
            self.kernel(_beside(self.view, X), self.known) @ self.weights
        )
        return found


def _beside(view: Sequence[Standard], X: Rows) -> Floats:
    """Features of several encodings, each of which counts as much as another."""
    found: Floats = np.concatenate([one(X) for one in view], axis=1) / np.sqrt(len(view))
    return found
