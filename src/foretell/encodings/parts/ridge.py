"""A smooth function through few rows: kernel ridge, its kernel chosen by rows left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from foretell.encodings.base import Encoding
from foretell.spaces.base import Rows

Floats = NDArray[np.float64]
Kernel = Callable[[Floats, Floats], Floats]
_RIDGES = (1e-4, 1e-3, 1e-2, 1e-1)  # shares of the kernel's mean diagonal


def _gauss(length: float) -> Kernel:
    def kernel(A: Floats, B: Floats) -> Floats:
        both = -2.0 * A @ B.T
        both += np.einsum("ij,ij->i", A, A)[:, None]
        both += np.einsum("ij,ij->i", B, B)
        found: Floats = np.exp(-np.maximum(both, 0.0) / (2 * length**2))
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


class View:
    """Features of some encodings, each standardised on rows X (n, d), over the root of its length.

    Rows of X have a squared length of about 1.
    """

    def __init__(self, encodings: Sequence[Encoding], X: Rows) -> None:
        self.encodings = encodings
        blocks = [one.encode(X).astype(np.float64) for one in encodings]
        self.means = [F.mean(axis=0) for F in blocks]
        self.weights = []
        for F in blocks:
            std = F.std(axis=0)
            there = std > 1e-9
            scale = std * np.sqrt(max(there.sum(), 1) * len(blocks))
            self.weights.append(np.divide(1.0, scale, out=np.zeros_like(std), where=there))

    def __call__(self, X: Rows) -> Floats:
        """Features (n, f) of rows."""
        known = zip(self.encodings, self.means, self.weights, strict=True)
        return np.concatenate([(one.encode(X) - m) * w for one, m, w in known], axis=1)


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
            view = View(encodings, X)
            F = view(X)
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
            self.kernel(self.view(X), self.known) @ self.weights
        )
        return found
