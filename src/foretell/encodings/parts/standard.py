"""Encodings as distances take them: standardised on rows of reference."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foretell.encodings.base import Encoding
from foretell.encodings.parts.kept import kept
from foretell.spaces.base import Rows

Floats = NDArray[np.float64]
_CONSTANT = 1e-9  # deviation of a feature that says nothing


class Standard:
    """Features of an encoding, less their mean on rows of reference, times their weights.

    The weight of feature i is 1 / (std_i sqrt(f)), and 0 where it is constant on those rows.

    Args:
        encoding: of the rows.
        X: rows of reference, (n, d); no results are needed.
        varying: whether f counts the features that vary there alone; then rows of reference have
            a mean squared length of 1. Else it counts all.
    """

    def __init__(self, encoding: Encoding, X: Rows, *, varying: bool = False) -> None:
        F = encoding.encode(X).astype(np.float64)
        self.encoding = encoding
        self.mean, std = F.mean(axis=0), F.std(axis=0)
        there = std > _CONSTANT
        scale = std * np.sqrt(max(there.sum(), 1) if varying else F.shape[1])
        self.weight = np.divide(1.0, scale, out=np.zeros_like(scale), where=there)
        self.features = (F - self.mean) * self.weight  # of the rows of reference

    def __call__(self, X: Rows) -> Floats:
        """Features (n, f) of rows."""
        scaled: Floats = (kept(self.encoding, X) - self.mean) * self.weight
        return scaled

    def squares(self, X: Rows | None = None) -> list[Floats]:
        """Squared distances (n, m) of rows, or of those of reference, to these, as the only one of
        a list."""
        return [squares(self.features if X is None else self(X), self.features)]


def squares(A: Floats, B: Floats) -> Floats:
    """Squared distances (n, m) of features (n, f) and (m, f)."""
    both: Floats = A @ B.T
    both *= -2.0
    both += np.einsum("ij,ij->i", A, A)[:, None]
    both += np.einsum("ij,ij->i", B, B)
    return np.maximum(both, 0.0, out=both)
