"""One scale for accuracies and losses: from 0 to 1, large is good."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from foretell.evidence.curves.base import Floats


class Scale(NamedTuple):
    """score = (value - low) / width, each (n,): of each curve its own."""

    low: Floats
    width: Floats

    @classmethod
    def of(cls, seen: Floats) -> Scale:
        """By the start of curves (n, e) of large good values.

        Fractions are as they are, percent are divided by 100. What is negative is a negated loss:
        its score is 1 - loss / (2 loss_1), so that it begins with 1/2 and has 1 as its bound.

        >>> Scale.of(np.array([[0.2, 0.5], [20.0, 50.0], [-4.0, -3.0]])).score(
        ...     np.array([[0.2, 0.5], [20.0, 50.0], [-4.0, -3.0]])).tolist()
        [[0.2, 0.5], [0.2, 0.5], [0.5, 0.625]]
        """
        first, most = seen[:, 0], seen.max(axis=1)
        loss = first < 0
        width = np.where(loss, -2.0 * first, np.where(most > 1.5, 100.0, 1.0))
        return cls(np.where(loss, 2.0 * first, 0.0), width)

    def score(self, values: Floats) -> Floats:
        """Of values (n, ...)."""
        shape = (-1, *(1,) * (values.ndim - 1))
        found: Floats = (values - self.low.reshape(shape)) / self.width.reshape(shape)
        return found

    def value(self, scores: Floats) -> Floats:
        """Of scores (n, ...)."""
        shape = (-1, *(1,) * (scores.ndim - 1))
        found: Floats = scores * self.width.reshape(shape) + self.low.reshape(shape)
        return found
