"""What an aggregate is: several proxies, put together by rank."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foretell.evidence.zero_cost.parts.ranks import Ranks
from foretell.evidence.zero_cost.parts.reference import REFERENCE


class Aggregate(ABC):  # what it does follows from `ranks`
    """Base of all aggregates: a frozen dataclass with an expression of ranks; higher is better.

    Among n networks it is what the expression says. Of a network alone there is no rank: then it is
    the share of a reference that is worse, s -> 1 / (1 + exp(-(s - centre) / spread)), with centre
    and spread of each proxy over cells of NAS-Bench-201 (`parts.reference`). Numbers of networks
    one by one can so be compared, elsewhere less well than ranks.
    """

    ranks: ClassVar[Ranks]
    higher_is_better: ClassVar[bool] = True

    def alone(self, scores: Mapping[str, float], better: Mapping[str, bool]) -> float:
        """The number of one network, from its scores by name; what has none counts as the worst."""
        return float(alone(self.ranks, scores, better))


def alone(
    ranks: Ranks,
    scores: Mapping[str, ArrayLike],
    better: Mapping[str, bool],
    reference: Mapping[str, tuple[float, float]] = REFERENCE,
) -> NDArray[np.float64]:
    """An expression of ranks of networks one by one: against a reference, not each other.

    Args:
        ranks: of proxies that the reference has.
        scores: of each proxy, (n,) or one number; NaN counts as the worst.
        better: whether higher scores are better.
        reference: centre and spread of each proxy.
    """
    total: Any = 0.0
    for term in ranks.terms:
        centre, spread = reference[term.proxy]
        z = (np.asarray(scores[term.proxy], dtype=np.float64) - centre) / spread
        z = np.nan_to_num(z if better[term.proxy] else -z, nan=-_FAR).clip(-_FAR, _FAR)
        log_share = -np.log1p(np.exp(-z))
        total = total + term.weight * (log_share if term.log else np.exp(log_share))
    return np.asarray(total)


_FAR = 30.0
