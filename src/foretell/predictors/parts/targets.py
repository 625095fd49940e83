"""Scales on which a predictor learns, each a strictly increasing map of the targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

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


@dataclass(frozen=True)
class Scales:
    """A `Scale` of its own for each of n rows, such as one that does not know the row's target.

    Shapes: `scores` and `values` (n, K); a row with fewer knots repeats its last one. `counts`
    (n,), at least 2.
    """

    scores: Floats
    values: Floats
    counts: NDArray[np.intp]

    @classmethod
    def without(cls, scale: Scale, y: Floats, group: NDArray[np.intp]) -> Self:
        """`scale` without the knots at targets y (n,) that only rows of the same group have.

        A row that is left out has not told where its target lies: beyond the largest of the others
        its scale goes on with their slope, as it does for rows to come.

        >>> y = np.array([1.0, 2.0, 4.0, 9.0])
        >>> of_ranks = Scale.of(y, "rank")
        >>> alone = Scales.without(of_ranks, y, np.arange(4))
        >>> alone.counts.tolist(), alone.values[3].tolist()
        ([3, 3, 3, 3], [1.0, 2.0, 4.0, 4.0])
        >>> alone.value(of_ranks.score(y)).round(6).tolist()
        [-1.5, 2.5, 5.5, 5.5]
        """
        at = np.minimum(np.searchsorted(scale.values, y), len(scale.values) - 1)
        there = scale.values[at] == y
        told = np.zeros((int(group.max()) + 1, len(scale.values)), dtype=np.intp)
        np.add.at(told, (group[there], at[there]), 1)
        total = told.sum(axis=0)
        kept = (total == 0) | (told < total)
        kept[kept.sum(axis=1) < 2] = True
        counts = kept.sum(axis=1)
        order = np.argsort(~kept, axis=1, kind="stable")
        order = np.take_along_axis(
            order, np.minimum(np.arange(kept.shape[1]), counts[:, None] - 1), axis=1
        )
        return cls(scale.scores[order][group], scale.values[order][group], counts[group])

    @classmethod
    def stack(cls, scales: list[Scale]) -> Self:
        """One for each of n rows."""
        counts = np.array([len(one.scores) for one in scales])
        knots = np.minimum(np.arange(counts.max()), counts[:, None] - 1)
        pairs = [(one.scores[at], one.values[at]) for one, at in zip(scales, knots, strict=True)]
        scores, values = (np.stack(part) for part in zip(*pairs, strict=True))
        return cls(scores, values, counts)

    def value(self, scores: Floats) -> Floats:
        """Scores (n,) to targets (n,), each by its own scale."""
        rows, last = np.arange(len(scores)), self.counts - 1
        first, end = self.scores[:, 0], self.scores[rows, last]
        within = np.clip(scores, first, end)
        high = np.clip((self.scores < within[:, None]).sum(axis=1), 1, last)
        low = high - 1
        x, y = self.scores[rows, low], self.values[rows, low]
        local = (self.values[rows, high] - y) / (self.scores[rows, high] - x)
        whole = (self.values[rows, last] - self.values[:, 0]) / (end - first)
        through: Floats = y + local * (within - x) + whole * (scores - within)
        return through

    def spread(self, scores: Floats, std: Floats) -> Floats:
        """Standard deviation of targets where scores have `std`, as that of `Scale`."""
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
