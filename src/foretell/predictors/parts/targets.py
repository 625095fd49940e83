"""Scales on which a predictor learns, each a strictly increasing map of the targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from foretell.errors import SettingError
from foretell.predictors.base import Floats

Target = Literal["value", "rank"]


@dataclass(frozen=True)
class Scale:
    """A piecewise linear, strictly increasing map from learnt scores to targets, and back.

    `rank` maps the k-th smallest of n targets to (k - 1/2) / n, centred (ties share their mean):
    what is learnt then does not depend on how skewed the targets are. `value` standardises.
    Scores outside of those seen are extrapolated with the slope of the whole range.
    """

    scores: Floats  # increasing knots, at least two
    values: Floats

    @classmethod
    def of(cls, y: Floats, target: Target) -> Self:
        """The scale of targets (n,)."""
        if target not in ("value", "rank"):
            raise SettingError("target", expected="'value' or 'rank'", got=repr(target))
        values, counts = np.unique(y, return_counts=True)
        if target == "value":
            return cls(np.array([-1.0, 1.0]), y.mean() + deviation(y) * np.array([-1.0, 1.0]))
        if len(values) == 1:
            return cls(np.array([-1.0, 1.0]), values[0] + np.array([-1.0, 1.0]))
        scores = (np.cumsum(counts) - counts / 2) / len(y)
        return cls(np.sqrt(12.0) * (scores - 0.5), values)

    def score(self, y: Floats) -> Floats:
        """Targets to scores."""
        return _through(y, self.values, self.scores)

    def value(self, scores: Floats) -> Floats:
        """Scores to targets; keeps the order."""
        return _through(scores, self.scores, self.values)

    def spread(self, scores: Floats, std: Floats) -> Floats:
        """Standard deviation of targets where scores have `std`: half of what one std spans."""
        half: Floats = (self.value(scores + std) - self.value(scores - std)) / 2
        return half


def deviation(y: Floats) -> float:
    """The standard deviation, or 1 where all values are equal."""
    return float(y.std()) if np.ptp(y) > 0 else 1.0


def _through(at: Floats, x: Floats, y: Floats) -> Floats:
    slope = (y[-1] - y[0]) / (x[-1] - x[0])
    beyond = np.minimum(at - x[0], 0.0) + np.maximum(at - x[-1], 0.0)
    through: Floats = np.interp(at, x, y) + slope * beyond
    return through
