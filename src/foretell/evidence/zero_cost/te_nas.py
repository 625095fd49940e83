"""TE-NAS: trainability and expressivity by rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from foretell.evidence.zero_cost.parts.aggregate import Aggregate
from foretell.evidence.zero_cost.parts.ranks import Ranks, rank


@dataclass(frozen=True)
class TENAS(Aggregate):
    """s = rank of the condition of the tangent kernel + rank of the number of linear regions.

    References: Chen et al., TE-NAS, ICLR 2021, algorithm 1. `Differs:` it scores networks; the
    paper prunes a supernet by the change of both.
    """

    ranks: ClassVar[Ranks] = rank("ntk-cond") + rank("linear-regions")
