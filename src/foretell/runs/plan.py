"""What a run computes."""

from __future__ import annotations

from dataclasses import dataclass, field

from foretell.runs.budget import Budget
from foretell.runs.halving import Halving
from foretell.search.strategy import Strategy


@dataclass(frozen=True)
class Plan:
    """What a run computes: everything that its results depend on, beside the evaluator.

    Args:
        strategy: proposes the networks.
        seed: of the run; that of trial x is derived from (seed, "trial", row_key(x), replicate).
        n_train: an ask never crosses this number, so that all networks before it are sampled.
        networks: to train.
        compare_random: also train what random search would have with the same seed and number.
        budget: what ends the search before `networks`.
        halving: stops networks that start badly.
        replicates: how often the winner and the space's hand-made network are trained once more.
        minimize: costs that matter beside the objective, by name.
        costs: names of costs that are written down with each network.
    """

    strategy: Strategy
    seed: int
    n_train: int
    networks: int
    compare_random: bool = False
    budget: Budget = field(default_factory=Budget)
    halving: Halving | None = None
    replicates: int = 0
    minimize: tuple[str, ...] = ()
    costs: tuple[str, ...] = ()

    @property
    def searching(self) -> Strategy:
        """The strategy, and what stops networks early over it."""
        return self.strategy if self.halving is None else self.halving.over(self.strategy)
