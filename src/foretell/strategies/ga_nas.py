"""GA-NAS: a generator that learns to fool a judge who knows the best networks so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from foretell.errors import SettingError
from foretell.predictors.base import Floats
from foretell.search.history import History
from foretell.search.strategy import Proposal, Strategy
from foretell.spaces.base import Rows, Space
from foretell.strategies.parts.fresh import fresh
from foretell.strategies.parts.guided import best_of, fitted, opening
from foretell.strategies.parts.policy import drawn


@dataclass(frozen=True)
class GANAS(Strategy):
    """A recurrent generator, rewarded for rows that a pairwise judge puts before the best known.

    Each round (1) the judge, a predictor, learns all results; (2) the `truth` best of them are the
    truth; (3) a generator (the controller of `reinforce`) is trained by `steps` steps of
    REINFORCE on `samples` rows each, rewarded with

        R(x) = mean over t of the truth of P(x better than t),

    by the judge's `compare`, or else by whether x is foretold above t; (4) rows that it generates
    are evaluated. The truth gets better with each round, and what fools the judge with it.

    Args:
        n_train: random rows at the start, 2 or more.
        truth: the best results that rows are compared with, 1 or more.
        predictor: the judge: a catalog name, or an unfitted regressor on rows.
        predictor_settings: arguments of a predictor given by name.
        batch: results of a round, 1 or more.
        steps: of the generator, 1 or more.
        samples: rows of a step, 1 or more.
        hidden: width of the generator, 1 or more.
        lr: its learning rate.
        entropy: weight of the entropy of its decisions.
        repeats: whether a function may come again that is written differently.

    References: Changiz Rezaei et al., Generative Adversarial Neural Architecture Search, IJCAI
    2021, algorithm 1. Differs: there the generator builds graphs vertex by vertex and learns by
    PPO; here it takes the decisions of a row, begins anew each round, and learns by REINFORCE.

    >>> import foretell as ft
    >>> search = ft.Search(ft.spaces.get("nb201"), GANAS(10, predictor="gp", steps=5), seed=0)
    >>> X = search.ask(10)
    >>> search.tell(X, (X == 3).sum(axis=1))
    >>> search.ask(3).shape
    (3, 6)
    """

    n_train: int = 20
    truth: int = 10
    predictor: Any = "ranker"
    predictor_settings: Mapping[str, Any] = field(default_factory=dict)
    batch: int = 10
    steps: int = 60
    samples: int = 32
    hidden: int = 35
    lr: float = 0.03
    entropy: float = 0.01
    repeats: bool = False

    def __post_init__(self) -> None:
        for name, least in (
            ("n_train", 2),
            ("truth", 1),
            ("batch", 1),
            ("steps", 1),
            ("samples", 1),
            ("hidden", 1),
        ):
            if getattr(self, name) < least:
                got = getattr(self, name)
                raise SettingError(f"ga-nas, {name}", expected=f"at least {least}", got=got)

    def propose(self, space: Space, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """Random rows until `n_train` are known or out, then what the generator makes."""
        known = history.ok.latest
        n_random = n if len(known) < 2 else min(n, max(self.n_train - len(history.latest), 0))
        X = opening(space, history, n_random, rng, repeats=self.repeats)
        if n_random == n:
            return Proposal(X)
        judge = fitted(self.predictor, self.predictor_settings, space, known.X, known.y, rng)
        truth = best_of(known.X, known.y, self.truth)
        controller = self._generator(space, judge, truth, rng)
        decide = partial(controller.sample, rng=rng)
        chance = partial(controller.log_probability, space)

        def draw(k: int) -> Rows:
            return drawn(space, k, decide, chance, rng)

        rest = fresh(space, history.with_pending(X), n - n_random, draw, rng, self.repeats)
        return Proposal(np.concatenate([X, rest]), model=judge)

    def _generator(self, space: Space, judge: Any, truth: Rows, rng: np.random.Generator) -> Any:
        """A controller that is trained against the judge."""
        from foretell.strategies.parts import controller  # torch

        now = controller.policy(space, self.hidden, 1, self.lr, int(rng.integers(2**31)))
        for _ in range(self.steps):
            decide = partial(now.controller.sample, rng=rng)
            chance = partial(now.controller.log_probability, space)
            rows = drawn(space, self.samples, decide, chance, rng)
            rewards = better_than(judge, rows, truth)
            now = controller.updated(now, space, rows, rewards, self.entropy, 0.9)
        return now.controller

    def round_size(self, history: History) -> int:
        """The rest of the random rows, then a round."""
        done = len(history.told.latest)
        return self.n_train - done if done < self.n_train else self.batch


def better_than(judge: Any, X: Rows, truth: Rows) -> Floats:
    """R(x): how likely rows (n, d) are better than those of the truth (m, d), on average, (n,)."""
    if hasattr(judge, "compare"):
        left, right = np.repeat(X, len(truth), axis=0), np.tile(truth, (len(X), 1))
        return np.asarray(judge.compare(left, right).reshape(len(X), len(truth)).mean(axis=1))
    mine, theirs = judge.predict(X), judge.predict(truth)
    above = (mine[:, None] > theirs) + 0.5 * (mine[:, None] == theirs)
    return np.asarray(above.mean(axis=1))
