"""Evolution: tournaments among the youngest results, or among the best compromises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from foretell.errors import SettingError
from foretell.pareto import best
from foretell.search.history import History
from foretell.search.strategy import Proposal, Strategy
from foretell.spaces.base import Rows, Space
from foretell.strategies.parts.fresh import cost_names, fresh
from foretell.strategies.parts.tournament import winners


@dataclass(frozen=True)
class RegularizedEvolution(Strategy):
    """Mutants of the best of a random few among the last `population` results.

    The first `population` rows are random. From then on a parent is the best of `sample_size`
    members drawn without replacement from the `population` youngest finished results, and the
    child is the parent with one mutation (`space.mutate`): a member leaves because it is the
    oldest, not because it is bad. The population is read off the history, so failed trials are
    in nobody's tournament, and rows told from elsewhere take part.

    With costs to `minimize` age no longer counts: the population are the best `population` of all
    finished results in the order of NSGA-II, by non-dominated front of (value, -costs) and then
    by crowding distance, and a tournament is won by the member that comes first in that order.

    Args:
        population: size P of the population, and number of random rows at the start.
        sample_size: size S of a tournament, 1 to P; larger is greedier.
        batch: children between two tells; set it to the number of workers to keep them busy.
        minimize: names of costs (`space.measure`) to trade against the value.
        repeats: whether a function may come again that is written differently.

    References: Real et al., Regularized Evolution for Image Classifier Architecture Search,
    AAAI 2019, algorithm 1; with `minimize` Deb et al., NSGA-II, IEEE TEC 2002, section III.
    Differs: a function that is already known is not proposed again; with `minimize` there is no
    crossover, survivors are chosen after every result and not after every generation, and a
    tournament has `sample_size` members (the paper: 2).

    >>> import foretell as ft
    >>> strategy = RegularizedEvolution(population=4, sample_size=2)
    >>> search = ft.Search(ft.spaces.get("nb201"), strategy)
    >>> search.round_size, search.ask(4).shape
    (4, (4, 6))
    """

    population: int = 50
    sample_size: int = 10
    batch: int = 1
    minimize: tuple[str, ...] = ()
    repeats: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.sample_size <= self.population or self.batch < 1:
            raise SettingError(
                "regularized-evolution",
                expected="1 <= sample_size <= population and batch of at least 1",
                got=f"sample_size {self.sample_size}, population {self.population}, "
                f"batch {self.batch}",
            )
        cost_names("regularized-evolution", self.minimize)

    @classmethod
    def scaled(cls, budget: int) -> dict[str, Any]:
        """A population of a quarter of a small budget, 20 at most, whose best is the parent.

        >>> RegularizedEvolution.scaled(40), RegularizedEvolution.scaled(1000)
        ({'population': 10, 'sample_size': 10}, {'population': 20, 'sample_size': 20})
        """
        population = min(max(budget // 4, 2), 20)
        return {"population": population, "sample_size": population}

    def propose(self, space: Space, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """Random rows until `population` are known or out, then mutants of tournament winners."""
        members = self._members(space, history.ok.latest)
        n_random = n if not len(members) else min(n, max(self.population - len(history.latest), 0))
        first = fresh(space, history, n_random, lambda k: space.sample(k, rng), rng, self.repeats)
        if n_random == n:
            return Proposal(first)

        # with costs, members are in the order of the crowded comparison
        fitness = -np.arange(float(len(members))) if self.minimize else members.y

        def mutants(k: int) -> Rows:
            return space.mutate(members.X[winners(fitness, k, self.sample_size, rng)], rng)

        known = history.with_pending(first)
        rest = fresh(space, known, n - n_random, mutants, rng, self.repeats)
        return Proposal(np.concatenate([first, rest]))

    def _members(self, space: Space, known: History) -> History:
        """The population: the youngest; with costs the best, best first."""
        if not self.minimize:
            return known[-self.population :]
        F = np.column_stack([known.y, -space.measure(known.X, self.minimize)])
        return known[best(F, self.population)]

    def round_size(self, history: History) -> int:
        """The rest of the random rows, then `batch` children."""
        return max(self.population - len(history.told.latest), self.batch)
