"""NSGA-II, by Optuna: a baseline of general evolution, with several objectives or one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foretell.errors import SettingError
from foretell.search.history import History
from foretell.search.strategy import Proposal, Strategy
from foretell.spaces.base import Space
from foretell.strategies.parts.fresh import cost_names, fresh


@dataclass(frozen=True)
class NSGA2(Strategy):
    """Generations of `population` rows by crossover and mutation, as Optuna's sampler breeds them.

    The first generation is random; of a generation and its parents, the best fronts of (value,
    -costs) are the parents of the next. A row belongs to a generation by its number.

    Args:
        population: rows of a generation, 2 or more.
        crossover: chance that a child has two parents, 0 to 1.
        swapping: chance that a decision is that of the second parent, 0 to 1.
        mutation: chance that a decision is drawn anew, 0 to 1; None for 1 of the decisions.
        minimize: names of costs (`space.measure`) to trade against the value.
        repeats: whether a function may come again that is written differently.

    References: Deb et al., NSGA-II, IEEE TEC 2002; Akiba et al., Optuna, KDD 2019. Differs: what
    is known already is drawn again, up to three times.

    >>> import foretell as ft
    >>> search = ft.Search(ft.spaces.get("nb201"), NSGA2(population=4), seed=0)
    >>> search.tell(X := search.ask(4), (X == 3).sum(axis=1))
    >>> search.ask(4).shape
    (4, 6)
    """

    population: int = 20
    crossover: float = 0.9
    swapping: float = 0.5
    mutation: float | None = None
    minimize: tuple[str, ...] = ()
    repeats: bool = False

    def __post_init__(self) -> None:
        for name, good, expected in (
            ("population", self.population >= 2, "at least 2"),
            ("crossover", 0 <= self.crossover <= 1, "0 to 1"),
            ("swapping", 0 <= self.swapping <= 1, "0 to 1"),
            ("mutation", 0 <= (self.mutation or 0) <= 1, "0 to 1, or None"),
        ):
            if not good:
                raise SettingError(f"nsga2, {name}", expected=expected, got=getattr(self, name))
        cost_names("nsga2", self.minimize)

    def propose(self, space: Space, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """Random rows until a generation is there, then children."""
        from foretell.strategies.parts import study  # optuna

        latest = history.latest
        n_random = n if not len(history.ok) else min(n, max(self.population - len(latest), 0))
        X = fresh(space, history, n_random, lambda k: space.sample(k, rng), rng, self.repeats)
        left = n - n_random
        if left:
            F = np.column_stack([latest.y, -space.measure(latest.X, self.minimize)])
            sampler = study.optuna.samplers.NSGAIISampler(
                population_size=self.population,
                crossover_prob=self.crossover,
                swapping_prob=self.swapping,
                mutation_prob=self.mutation,
                seed=int(rng.integers(2**31)),
            )
            key = sampler._get_generation_key()  # what Optuna writes to trials as they come

            def generation(i: int) -> dict[str, int]:
                return {key: i // self.population}

            draw = study.suggestions(space, latest, F, sampler, left, rng, generation)
            rest = fresh(space, history.with_pending(X), left, draw, rng, self.repeats)
            X = np.concatenate([X, rest])
        return Proposal(X)

    def round_size(self, history: History) -> int:
        """The rest of a generation."""
        return self.population - len(history.told.latest) % self.population
