"""Evolution whose children are screened by a predictor before one is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from foretell.errors import SettingError
from foretell.search.history import History
from foretell.search.strategy import Proposal, Strategy
from foretell.spaces.base import Space
from foretell.strategies.parts.fresh import fresh, unknown
from foretell.strategies.parts.guided import best_of, fitted, mutants, opening
from foretell.strategies.parts.tournament import winners


@dataclass(frozen=True)
class PredictorEvolution(Strategy):
    """Ageing evolution that breeds `children` mutants for each that it evaluates.

    As `regularized-evolution`, but of n children to evaluate, n `children` mutants of tournament
    winners are bred, and the n with the highest prediction are the ones.

    Args:
        population: size P of the population, and number of random rows at the start, 2 or more.
        sample_size: size S of a tournament, 1 to P.
        children: mutants bred for one that is evaluated, 1 or more; with 1 it is plain evolution.
        predictor: a catalog name, or an unfitted regressor on rows.
        predictor_settings: arguments of a predictor given by name.
        batch: children between two fits, 1 or more.
        repeats: whether a function may come again that is written differently.

    References: White et al., How Powerful are Performance Predictors in Neural Architecture
    Search?, NeurIPS 2021, section 4.3 (predictor-guided evolution).

    >>> import foretell as ft
    >>> search = ft.Search(ft.spaces.get("nb201"), PredictorEvolution(10, 3, batch=4), seed=0)
    >>> X = search.ask(10)
    >>> search.tell(X, (X == 3).sum(axis=1))
    >>> search.round_size, search.ask(4).shape
    (4, (4, 6))
    """

    population: int = 20
    sample_size: int = 10
    children: int = 20
    predictor: Any = "gp"
    predictor_settings: Mapping[str, Any] = field(default_factory=dict)
    batch: int = 5
    repeats: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.sample_size <= self.population or self.population < 2:
            raise SettingError(
                "predictor-evolution",
                expected="1 <= sample_size <= population, population of at least 2",
                got=f"sample_size {self.sample_size}, population {self.population}",
            )
        if min(self.children, self.batch) < 1:
            raise SettingError(
                "predictor-evolution, children and batch",
                expected="at least 1",
                got=f"{self.children} and {self.batch}",
            )

    def propose(self, space: Space, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """Random rows until `population` are known or out, then screened children."""
        known = history.ok.latest
        n_random = n if len(known) < 2 else min(n, max(self.population - len(history.latest), 0))
        X = opening(space, history, n_random, rng, repeats=self.repeats)
        if n_random == n:
            return Proposal(X)
        members = known[-self.population :]
        model = fitted(self.predictor, self.predictor_settings, space, known.X, known.y, rng)
        left, out = n - n_random, history.with_pending(X)
        chosen = winners(members.y, left * self.children, self.sample_size, rng)
        bred = unknown(space, out, space.mutate(members.X[chosen], rng), self.repeats)
        if len(bred) < left:  # all are known around the winners
            draw = mutants(space, members.X, rng)
            more = fresh(space, out.with_pending(bred), left - len(bred), draw, rng, self.repeats)
            bred = np.concatenate([bred, more])
        X = np.concatenate([X, best_of(bred, model.predict(bred), left)])
        return Proposal(X, model=model)

    def round_size(self, history: History) -> int:
        """The rest of the random rows, then `batch` children."""
        return max(self.population - len(history.told.latest), self.batch)
