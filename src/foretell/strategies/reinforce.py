"""REINFORCE: a recurrent controller that learns to decide as the good networks do."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from foretell._rng import derive
from foretell.errors import SettingError
from foretell.search.history import History
from foretell.search.strategy import Proposal, Strategy
from foretell.spaces.base import Rows, Space
from foretell.strategies.parts.folded import folded
from foretell.strategies.parts.fresh import fresh
from foretell.strategies.parts.policy import drawn
from foretell.strategies.parts.rewards import share_no_better


@dataclass(frozen=True)
class Reinforce(Strategy):
    """A recurrent policy, one step of REINFORCE with a baseline after each `batch` results.

    p(x) = prod_j p(x_j | x_1, ..., x_(j-1)) by an LSTM that reads the option before. The step is
    Adam's along

        (1/n) sum_i (R_i - b) grad log p(x_i) + entropy grad H(p),    b an average of past rewards.

    The weights are a function of the results: they are trained anew from the same start wherever
    they are not remembered.

    Args:
        hidden: width of the LSTM, 1 or more.
        layers: of the LSTM, 1 or more.
        lr: learning rate.
        entropy: weight of the entropy of the decisions, 0 or more.
        decay: of the baseline, 0 to below 1.
        batch: results of a step, 1 or more.
        reward: "rank", the share of the results so far that are no better, or "value", the value.
        seed: of the first weights.
        repeats: whether a function may come again that is written differently.

    References: Zoph & Le, Neural Architecture Search with Reinforcement Learning, ICLR 2017,
    section 3.2 (there 2 layers of 35, learning rate 6e-4, the cube of the accuracy, thousands of
    networks); Williams, Machine Learning 1992. Differs: a network that is known is not drawn again,
    and counts once.

    >>> import foretell as ft
    >>> search = ft.Search(ft.spaces.get("nb201"), Reinforce(batch=4), seed=0)
    >>> search.ask(4).shape, search.round_size
    ((4, 6), 4)
    """

    hidden: int = 35
    layers: int = 1
    lr: float = 0.03
    entropy: float = 0.01
    decay: float = 0.9
    batch: int = 10
    reward: str = "rank"
    seed: int = 0
    repeats: bool = False

    def __post_init__(self) -> None:
        for name, good, expected in (
            ("hidden", self.hidden >= 1, "at least 1"),
            ("layers", self.layers >= 1, "at least 1"),
            ("lr", self.lr > 0, "above 0"),
            ("entropy", self.entropy >= 0, "at least 0"),
            ("decay", 0 <= self.decay < 1, "0 to below 1"),
            ("batch", self.batch >= 1, "at least 1"),
            ("reward", self.reward in ("rank", "value"), "'rank' or 'value'"),
        ):
            if not good:
                got = getattr(self, name)
                raise SettingError(f"reinforce, {name}", expected=expected, got=got)

    def propose(self, space: Space, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """Rows that the controller decides on."""
        controller = self.policy(space, history.ok.latest).controller
        decide = partial(controller.sample, rng=rng)
        chance = partial(controller.log_probability, space)

        def draw(k: int) -> Rows:
            return drawn(space, k, decide, chance, rng)

        return Proposal(fresh(space, history, n, draw, rng, self.repeats))

    def policy(self, space: Space, known: History) -> Any:
        """The controller after all whole batches of results."""
        from foretell.strategies.parts import controller  # torch

        rewards = share_no_better(known.y) if self.reward == "rank" else known.y
        b = self.batch

        def begin() -> controller.Policy:
            seed = derive(self.seed, "controller")
            return controller.policy(space, self.hidden, self.layers, self.lr, seed)

        def step(before: controller.Policy, now: History, k: int) -> controller.Policy:
            mine = rewards[slice(k * b, (k + 1) * b)]
            return controller.updated(before, space, now.X, mine, self.entropy, self.decay)

        return folded(space, repr(self), known, b, begin, step)

    def round_size(self, history: History) -> int:
        """The rest of a batch."""
        return self.batch - len(history.told.latest) % self.batch
