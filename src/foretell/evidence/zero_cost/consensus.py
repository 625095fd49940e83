"""The aggregate that stands for all where nothing is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from foretell.evidence.zero_cost.parts.aggregate import Aggregate
from foretell.evidence.zero_cost.parts.ranks import Ranks, log_rank


@dataclass(frozen=True)
class Consensus(Aggregate):
    """A fixed sum of ranks that needs no label: what `auto` ranks by before anything is trained.

    Chosen on NAS-Bench-201 alone, by `python perf/bench_proxies.py choose`.
    """

    ranks: ClassVar[Ranks] = (
        log_rank("n-flops") + log_rank("az-expressivity") + log_rank("az-trainability")
    )
