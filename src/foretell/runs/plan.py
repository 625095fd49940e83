"""What a run computes, and what it needs for that."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from torch import nn

from foretell.evaluators.base import Result
from foretell.runs.budget import Budget
from foretell.runs.halving import Halving
from foretell.spaces.base import Rows, Space
from foretell.strategies import Strategy


class Trains(Protocol):
    """What a run needs of its evaluator; `Trainer` has it."""

    space: Space
    objective: str  # larger is better

    def evaluate(self, x: Rows, seed: int = 0, *, weights: Path | None = None) -> Result:
        """Train the row `x`; the weights go to the file `weights`."""

    def validate(self, network: nn.Module, split: str = "val") -> dict[str, float]:
        """Metrics of a trained network on a split."""

    def test(self, x: Rows, weights: Path) -> dict[str, float]:
        """Test metrics of trained weights; asked once for each network that is reported."""


@dataclass(frozen=True)
class Plan:
    """What a run computes: everything that its results depend on, beside the evaluator.

    Args:
        strategy: proposes the networks.
        seed: of the run; that of trial x is derived from (seed, "trial", row_key(x), replicate).
        budget: networks to train.
        n_train: an ask never crosses this number, so that all networks before it are sampled.
        compare_random: also train what random search would have with the same seed and budget.
        limits: what ends the search before `budget` networks.
        halving: stops networks that start badly; needs `epochs`.
        epochs: of a whole training.
        replicates: how often the winner and the space's hand-made network are trained once more.
        minimize: costs that matter beside the objective, by name.
        costs: names of costs that are written down with each network.
    """

    strategy: Strategy
    seed: int
    n_train: int
    budget: int
    compare_random: bool = False
    limits: Budget = field(default_factory=Budget)
    halving: Halving | None = None
    epochs: int = 0
    replicates: int = 0
    minimize: tuple[str, ...] = ()
    costs: tuple[str, ...] = ()
