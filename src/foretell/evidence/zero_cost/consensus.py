"""The aggregate that stands for all where nothing is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from foretell.evidence.zero_cost.parts.aggregate import Aggregate
from foretell.evidence.zero_cost.parts.ranks import Ranks, log_rank


@dataclass(frozen=True)
class Consensus(Aggregate):
    """A fixed sum of ranks that needs no label: what `auto` ranks by before anything is trained.

    s = sum_k log(rank_k / n) of size, of the features' independence within and between inputs, and
    of how features and gradients go from block to block. Its five parts come from one forward pass
    and two backward passes to the inputs. Chosen on NAS-Bench-201 alone, by
    `python perf/bench_proxies.py choose`.
    """

    ranks: ClassVar[Ranks] = (
        log_rank("n-flops")
        + log_rank("meco")
        + log_rank("jacob-cov")
        + log_rank("az-progressivity")
        + log_rank("az-trainability")
    )
