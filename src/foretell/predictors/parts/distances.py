"""What encodings are to a Gaussian process: distances, whole or with a length for each feature."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from foretell.encodings import Encoding
from foretell.encodings.numbers import Numbers
from foretell.encodings.parts.kept import kept
from foretell.encodings.parts.standard import Standard
from foretell.predictors.base import Floats
from foretell.spaces.base import Rows

START = (2.0, 0.0, -2.0)  # log of length scale, signal and noise variance: mean of the prior
SPREAD = 0.8  # its standard deviation: what few rows say of a length scale is mostly noise
OWN = 0.5  # that of the log length of a feature around its decision's,
ALONE = 1.5  # and of one without others: few of the totals tell most
LINEAR, LINEAR_SPREAD = 2.0, 1.5  # log weight of a linear function of amounts


class Metric(Protocol):
    """One or several distances between rows and the training rows."""

    def squares(self, X: Rows | None = None) -> list[Floats]:
        """Squared distances (n, m) of rows X, or of the training rows themselves, to those."""


class Amounts:
    """Features a_i of encodings that say which of them belong together; each has a length l_i.

    log l_i is that of its group and a deviation with the prior N(0, 0.5^2), or N(0, 1.5^2) for a
    number that is alone in its group: few of the totals say most. Features are standardised on the
    training rows and divided by the root of the size of their group. Beside the distance they have
    a linear function, which numbers have more of than what is counted. Where results are fewer
    than features, more of a number is expected to be better: only slopes that `rising` leaves are
    `sloping`.
    """

    def __init__(self, encodings: list[Encoding], X: Rows) -> None:
        self.encodings = encodings
        of: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        for one in encodings:
            groups = one.groups()
            assert groups is not None  # `kernel_parts` has looked
            of = np.concatenate([of, groups + of.max(initial=-1) + 1])
        self.of = np.unique(of, return_inverse=True)[1]
        F = self._encode(X)
        self.mean, std = F.mean(axis=0), F.std(axis=0)
        count = np.bincount(self.of)
        scale = std * np.sqrt(count[self.of])
        self.weight = np.divide(1.0, scale, out=np.zeros_like(scale), where=std > 1e-9)
        self.features = (F - self.mean) * self.weight
        f, g = len(self.of), len(count)
        self.linear = any(isinstance(one, Numbers) for one in encodings)
        linear = LINEAR if self.linear else START[1]
        self.sloping: Floats = np.ones(f)
        self.start = np.concatenate([np.zeros(f), np.full(g, START[0]), [linear]])
        own = np.where((count[self.of] == 1) & self.linear, ALONE, OWN)
        self.own = np.concatenate([own, SPREAD * np.ones(g), [LINEAR_SPREAD]]) / SPREAD

    def __call__(self, X: Rows) -> Floats:
        """Features (n, f) of rows."""
        scaled: Floats = (self._encode(X) - self.mean) * self.weight
        return scaled

    def _encode(self, X: Rows) -> Floats:
        parts = [kept(one, X) for one in self.encodings]
        return np.concatenate(parts, axis=1, dtype=np.float64)

    def lengths(self, theta: Floats) -> Floats:
        """l_i (f,); theta has the deviations, the groups' logarithms, and the linear weight."""
        lengths: Floats = np.exp(theta[: len(self.of)] + theta[len(self.of) : -1][self.of])
        return lengths

    def over(self, theta: Floats, X: Rows | None = None) -> tuple[Floats, Floats]:
        """Of rows, or of the training rows: features over lengths (n, f); times t where sloping."""
        Z = (self.features if X is None else self(X)) / self.lengths(theta)
        return Z, Z * (np.exp(theta[-1] / 2) * self.sloping)

    def gradient(self, by_feature: Floats, by_weight: float) -> Floats:
        """That of theta, from those of log l_i and of the linear weight."""
        groups = np.bincount(self.of, by_feature)
        return np.concatenate([by_feature, groups, [by_weight]])


def kernel_parts(encodings: list[Encoding], X: Rows) -> list[Metric | Amounts]:
    """What encodings are to a process on training rows: amounts, and distances of the others."""
    grouped = [one for one in encodings if one.groups() is not None]
    others = [Standard(one, X) for one in encodings if one.groups() is None]
    return [*([Amounts(grouped, X)] if grouped else []), *others]
