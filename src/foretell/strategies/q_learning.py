"""Q-learning: a table of what each option is worth after the one before (MetaQNN, BlockQNN)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from foretell._rng import stream
from foretell.errors import SettingError
from foretell.search.history import Floats, History
from foretell.search.strategy import Proposal, Strategy
from foretell.spaces.base import Rows, Space
from foretell.strategies.parts.folded import folded
from foretell.strategies.parts.fresh import fresh
from foretell.strategies.parts.policy import drawn
from foretell.strategies.parts.rewards import share_no_better


@dataclass(frozen=True)
class QLearning(Strategy):
    """An agent takes one decision after the other, and learns what each option leads to.

    The state before decision j is j and the option of the decision before; actions are its
    options. After each `batch` results, `replay` of all past rows (with replacement) are learnt
    from for each of them, the last decision first:

        Q(s, a) <- (1 - alpha) Q(s, a) + alpha (r + gamma max_b Q(s', b)),

    with r = 0 before the last decision and the reward there; or, with `shaped`, with the reward
    divided by the number of decisions at each of them. The reward is the share of the results that
    are no better. New rows take the best option with probability 1 - epsilon, else any; epsilon
    falls from 1 to `epsilon` over the first `greedy_after` results.

    Args:
        alpha: step, above 0 to 1.
        gamma: discount of what follows, 0 to 1.
        epsilon: what remains of random decisions, 0 to 1.
        greedy_after: results after which epsilon has fallen to that, 1 or more.
        replay: rows that are replayed for each result, 0 or more.
        batch: results between two updates, 1 or more.
        shaped: whether every decision is rewarded at once.
        start: the value of an option that nobody took.
        seed: of the replay.
        repeats: whether a function may come again that is written differently.

    References: Baker et al., Designing Neural Network Architectures using Reinforcement Learning
    (MetaQNN), ICLR 2017, equation 3 and section 4; Zhong et al., Practical Block-wise Neural
    Network Architecture Generation (BlockQNN), CVPR 2018, equation 6. Differs: epsilon falls with
    each update and not in ten steps of thousands of networks; rewards are ranks, which need no
    scale of the values; a network that is known is not drawn again.

    >>> import foretell as ft
    >>> search = ft.Search(ft.spaces.get("nb201"), QLearning(batch=8), seed=0)
    >>> search.ask(8).shape, search.round_size
    ((8, 6), 8)
    """

    alpha: float = 0.1
    gamma: float = 1.0
    epsilon: float = 0.1
    greedy_after: int = 100
    replay: int = 20
    batch: int = 10
    shaped: bool = False
    start: float = 0.5
    seed: int = 0
    repeats: bool = False

    def __post_init__(self) -> None:
        for name, good, expected in (
            ("alpha", 0 < self.alpha <= 1, "above 0 to 1"),
            ("gamma", 0 <= self.gamma <= 1, "0 to 1"),
            ("epsilon", 0 <= self.epsilon <= 1, "0 to 1"),
            ("greedy_after", self.greedy_after >= 1, "at least 1"),
            ("replay", self.replay >= 0, "at least 0"),
            ("batch", self.batch >= 1, "at least 1"),
        ):
            if not good:
                got = getattr(self, name)
                raise SettingError(f"q-learning, {name}", expected=expected, got=got)

    def propose(self, space: Space, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """Rows that the agent decides on."""
        known = history.ok.latest
        Q = self.values(space, known)
        share = min(len(known) / self.greedy_after, 1.0)
        epsilon = 1.0 - (1.0 - self.epsilon) * share
        decide = partial(self._decide, space, Q, epsilon, rng)
        chance = partial(self._log_probability, space, Q, epsilon)

        def draw(k: int) -> Rows:
            return drawn(space, k, decide, chance, rng)

        return Proposal(fresh(space, history, n, draw, rng, self.repeats))

    def values(self, space: Space, known: History) -> Floats:
        """Q after all that is known, (d, o, o): decision, option before it, option; o most options.

        What is no option is -inf.
        """
        known = replace(known, y=share_no_better(known.y))

        def begin() -> Floats:
            there = np.arange(space.n_options.max()) < space.n_options[:, None]
            Q = np.where(there, self.start, -np.inf)
            return np.repeat(Q[:, None, :], Q.shape[1], axis=1)

        def step(Q: Floats, now: History, k: int) -> Floats:
            past = known[: (k + 1) * self.batch]
            drawn = stream(self.seed, "replay", k).integers(len(past), size=self.replay * len(now))
            rows = np.concatenate([now.X, past.X[drawn]])
            return self.update(space, Q, rows, np.concatenate([now.y, past.y[drawn]]))

        return folded(space, repr(self), known, self.batch, begin, step)

    def update(self, space: Space, Q: Floats, X: Rows, rewards: Floats) -> Floats:
        """Q after the rows (m, d) with rewards (m,) were learnt from.

        All rows go back from their last decision in step. Where several take one action in one
        state, their targets count in their order: m updates of one value towards t_1, ..., t_m
        leave (1 - alpha)^m Q + sum_i alpha (1 - alpha)^(m - i) t_i of it.
        """
        Q, rows = Q.copy(), space.canonical_form(X).astype(np.intp)
        active = space.active(X)
        lengths = active.sum(axis=1)
        before = np.concatenate([np.zeros((len(rows), 1), dtype=np.intp), rows[:, :-1]], axis=1)
        following = np.zeros(len(rows))  # of the next decision that applies: max_b Q(s', b)
        last = np.ones(len(rows), dtype=bool)
        for j in range(space.d - 1, -1, -1):
            here = active[:, j]
            state, action = before[here, j], rows[here, j]
            reward = np.where(last[here], rewards[here], 0.0)
            if self.shaped:
                reward = rewards[here] / lengths[here]
            target = reward + self.gamma * np.where(last[here], 0.0, following[here])
            _towards(Q[j], state, action, target, self.alpha)
            following[here] = Q[j][state].max(axis=1)
            last &= ~here
        return Q

    def _decide(
        self, space: Space, Q: Floats, epsilon: float, rng: np.random.Generator, k: int
    ) -> Rows:
        """`k` rows, decision by decision."""
        rows = np.zeros((k, space.d), dtype=np.intp)
        before = np.zeros(k, dtype=np.intp)
        for j in range(space.d):
            worth = Q[j][before]
            tie = np.where(np.isfinite(worth), rng.random(worth.shape), -1.0)
            best = np.where(worth == worth.max(axis=1, keepdims=True), tie, -1.0).argmax(axis=1)
            rows[:, j] = np.where(rng.random(k) < epsilon, tie.argmax(axis=1), best)
            before = rows[:, j]
        return rows

    def _log_probability(self, space: Space, Q: Floats, epsilon: float, X: Rows) -> Floats:
        """Log-probability of rows (m, d), (m,), over the decisions that apply."""
        rows = X.astype(np.intp)
        before = np.concatenate([np.zeros((len(rows), 1), dtype=np.intp), rows[:, :-1]], axis=1)
        column = np.arange(space.d)
        worth = Q[column, before]  # (m, d, o)
        best = worth == worth.max(axis=2, keepdims=True)
        greedy = best / best.sum(axis=2, keepdims=True)
        chance = (1 - epsilon) * greedy + epsilon / space.n_options[:, None]
        mine = np.take_along_axis(chance, rows[:, :, None], axis=2)[:, :, 0]
        logs = np.log(np.maximum(mine, 1e-12))
        return np.asarray((logs * space.active(X)).sum(axis=1))

    def round_size(self, history: History) -> int:
        """The rest of a batch."""
        return self.batch - len(history.told.latest) % self.batch


def _towards(table: Any, state: Any, action: Any, target: Floats, alpha: float) -> None:
    """Move the values (state, action) of `table` towards the targets, in their order."""
    cell = state * table.shape[1] + action
    order = np.argsort(cell, kind="stable")
    cells, first, count = np.unique(cell[order], return_index=True, return_counts=True)
    place = np.arange(len(cell)) - np.repeat(first, count)  # of each target among those of its cell
    weight = alpha * (1 - alpha) ** (np.repeat(count, count) - 1 - place)
    moved = np.add.reduceat(weight * target[order], first) if len(cell) else np.zeros(0)
    flat = table.reshape(-1)
    flat[cells] = (1 - alpha) ** count * flat[cells] + moved
