"""What an aggregate is: several proxies, put together by rank."""

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Mapping
from typing import ClassVar

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
        total = 0.0
        for term in self.ranks.terms:
            centre, spread = REFERENCE[term.proxy]
            s = scores[term.proxy]
            z = (s - centre) / spread if better[term.proxy] else (centre - s) / spread
            z = -_FAR if math.isnan(z) else max(min(z, _FAR), -_FAR)
            log_share = -math.log1p(math.exp(-z))
            total += term.weight * (log_share if term.log else math.exp(log_share))
        return total


_FAR = 30.0
