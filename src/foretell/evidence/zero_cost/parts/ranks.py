"""Aggregates of ranks, as expressions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from foretell.errors import DataError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Term:
    """A weighted rank of one proxy among n networks, from 1 / n for the worst to 1 for the best."""

    proxy: str
    log: bool
    weight: float = 1.0


@dataclass(frozen=True)
class Ranks:
    """A sum of ranks: `rank("a") + 2 * log_rank("b")`.

    Equal scores share their mean rank; what has no score is the worst.

    >>> both = rank("size") + log_rank("flow")
    >>> both.of({"size": [1, 2, 3], "flow": [5, 5, 9]}).round(2).tolist()
    [-0.36, -0.03, 1.0]
    """

    terms: tuple[Term, ...]

    def __add__(self, other: Ranks) -> Ranks:
        return Ranks(self.terms + other.terms)

    def __mul__(self, weight: float) -> Ranks:
        return Ranks(tuple(Term(t.proxy, t.log, weight * t.weight) for t in self.terms))

    __rmul__ = __mul__

    @property
    def names(self) -> tuple[str, ...]:
        """The proxies that it needs."""
        return tuple(dict.fromkeys(term.proxy for term in self.terms))

    def of(
        self, scores: Mapping[str, ArrayLike], better: Mapping[str, bool] | None = None
    ) -> Floats:
        """The aggregate (n,), higher is better, of scores (n,) by name.

        Args:
            scores: NaN where there is none.
            better: whether higher scores of a proxy are better, where that is not so.

        Raises: DataError where scores are missing, or not as many.
        """
        total: Any = 0.0
        for term in self.terms:
            if term.proxy not in scores:
                raise DataError(
                    "scores to rank", expected=", ".join(self.names), got=", ".join(scores)
                )
            s = np.asarray(scores[term.proxy], dtype=np.float64)
            s = s if (better or {}).get(term.proxy, True) else -s
            share = rankdata(np.where(np.isnan(s), -np.inf, s)) / max(len(s), 1)
            total = total + term.weight * (np.log(share) if term.log else share)
        return np.asarray(total, dtype=np.float64)


def rank(proxy: str) -> Ranks:
    """The rank of a proxy."""
    return Ranks((Term(proxy, log=False),))


def log_rank(proxy: str) -> Ranks:
    """The logarithm of the rank of a proxy: who is the worst in one cannot make good for it."""
    return Ranks((Term(proxy, log=True),))
