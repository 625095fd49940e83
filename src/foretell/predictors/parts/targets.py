"""Scales on which a predictor learns, each a strictly increasing map of the targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self, get_args

import numpy as np

from foretell.errors import SettingError
from foretell.predictors.base import Floats

Target = Literal["value", "rank", "between"]


@dataclass(frozen=True)
class Scale:
    """A piecewise linear, strictly increasing map from learnt scores to targets, and back.

    `rank` maps the k-th smallest of n targets to (k - 1/2) / n, centred (ties share their mean):
    what is learnt then does not depend on how skewed the targets are. `value` standardises;
    `between` is the mean of both. Scores outside of those seen are extrapolated with the slope of
    the whole range.
    """

    scores: Floats  # increasing knots, at least two
    values: Floats

    @classmethod
    def of(cls, y: Floats, target: Target) -> Self:
        """The scale of targets (n,)."""
        if target not in get_args(Target):
            known = ", ".join(map(repr, get_args(Target)))
            raise SettingError("target", expected=f"one of {known}", got=repr(target))
        values, counts = np.unique(y, return_counts=True)
        if target == "value":
            return cls(np.array([-1.0, 1.0]), y.mean() + deviation(y) * np.array([-1.0, 1.0]))
        if len(values) == 1:
            return cls(np.array([-1.0, 1.0]), values[0] + np.array([-1.0, 1.0]))
        scores = (np.cumsum(counts) - counts / 2) / len(y)
        ranks = np.sqrt(12.0) * (scores - 0.5)
        if target == "between":
            return cls((ranks + (values - y.mean()) / deviation(y)) / 2, values)
        return cls(ranks, values)

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


def foretells(y: Floats, alone: Callable[[Floats], Floats], eager: bool) -> Scale | None:
    """The scale with which left-out rows' ranks are foretold best; None where that is ranks.

    Ranks are more often right, as outliers have failed and noise grows below, so another scale must
    be ahead by one standard error of the difference of the squared errors; or, where numbers are
    linear amounts, which ranks would bend, by anything (`eager`).

    Args:
        y: targets, (n,).
        alone: what the other rows say of each score (n,), for scores (n,).
        eager: whether any gain counts.
    """
    if np.ptp(y) == 0:
        return None
    ranks, scales = Scale.of(y, "rank"), [Scale.of(y, target) for target in get_args(Target)]
    said = (ranks.score(scale.value(alone(scale.score(y)))) for scale in scales)
    errors = np.array([(one - ranks.score(y)) ** 2 for one in said])
    best = int(errors.mean(axis=1).argmin())
    gain = errors[get_args(Target).index("rank")] - errors[best]
    doubt = 0.0 if eager else gain.std() / np.sqrt(len(y))
    return scales[best] if gain.mean() > doubt else None


def deviation(y: Floats) -> float:
    """The standard deviation, or 1 where all values are equal."""
    return float(y.std()) if np.ptp(y) > 0 else 1.0


def _through(at: Floats, x: Floats, y: Floats) -> Floats:
    slope = (y[-1] - y[0]) / (x[-1] - x[0])
    beyond = np.minimum(at - x[0], 0.0) + np.maximum(at - x[-1], 0.0)
    through: Floats = np.interp(at, x, y) + slope * beyond
    return through
