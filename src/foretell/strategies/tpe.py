"""TPE, by Optuna: a baseline of general hyperparameter search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foretell.errors import SettingError
from foretell.search.history import History
from foretell.search.strategy import Proposal, Strategy
from foretell.spaces.base import Space
from foretell.strategies.parts.fresh import fresh


@dataclass(frozen=True)
class TPE(Strategy):
    """The tree-structured Parzen estimator of Optuna, on decisions as categorical parameters.

    Args:
        n_train: random rows at the start, 1 or more.
        multivariate: whether decisions are drawn together; Optuna's default from version 5 on.
        candidates: rows that a suggestion is the best of, 1 or more.
        batch: results between two tells, 1 or more.
        repeats: whether a function may come again that is written differently.

    References: Bergstra et al., Algorithms for Hyper-Parameter Optimization, NIPS 2011; Akiba et
    al., Optuna, KDD 2019. Differs: what is known already is drawn again, up to three times.

    >>> import foretell as ft
    >>> search = ft.Search(ft.spaces.get("nb201"), TPE(n_train=4), seed=0)
    >>> search.tell(X := search.ask(4), (X == 3).sum(axis=1))
    >>> search.ask(2).shape
    (2, 6)
    """

    n_train: int = 10
    multivariate: bool = True
    candidates: int = 24
    batch: int = 1
    repeats: bool = False

    def __post_init__(self) -> None:
        for name in ("n_train", "candidates", "batch"):
            if getattr(self, name) < 1:
                got = getattr(self, name)
                raise SettingError(f"tpe, {name}", expected="at least 1", got=got)

    def propose(self, space: Space, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """Random rows until `n_train` are known or out, then what the estimator suggests."""
        from foretell.strategies.parts import study  # optuna

        latest = history.latest
        n_random = n if not len(history.ok) else min(n, max(self.n_train - len(latest), 0))
        X = fresh(space, history, n_random, lambda k: space.sample(k, rng), rng, self.repeats)

        left = n - n_random
        if left:
            sampler = study.optuna.samplers.TPESampler(
                n_startup_trials=1,
                n_ei_candidates=self.candidates,
                multivariate=self.multivariate,
                constant_liar=True,
                seed=int(rng.integers(2**31)),
            )
            draw = study.suggestions(space, latest, latest.y[:, None], sampler, left, rng)
            rest = fresh(space, history.with_pending(X), left, draw, rng, self.repeats)
            X = np.concatenate([X, rest])
        return Proposal(X)

    def round_size(self, history: History) -> int:
        """The rest of the random rows, then `batch`."""
        return max(self.n_train - len(history.told.latest), self.batch)
