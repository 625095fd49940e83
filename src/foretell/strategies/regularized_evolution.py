"""Regularised (ageing) evolution: tournaments among the youngest results."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foretell.errors import SettingError
from foretell.history import History
from foretell.spaces.base import Rows, Space
from foretell.strategies.base import Strategy, fresh


@dataclass(frozen=True)
class RegularizedEvolution(Strategy):
    """Mutants of the best of a random few among the last `population` results.

    The first `population` rows are random. From then on a parent is the best of `sample_size`
    members drawn without replacement from the `population` youngest finished results, and the
    child is the parent with one mutation (`space.mutate`): a member leaves because it is the
    oldest, not because it is bad. The population is read off the history, so failed trials are
    in nobody's tournament, and rows told from elsewhere take part.

    Args:
        population: size P of the population, and number of random rows at the start.
        sample_size: size S of a tournament, 1 to P; larger is greedier.
        batch: children between two tells; set it to the number of workers to keep them busy.

    References: Real et al., Regularized Evolution for Image Classifier Architecture Search,
    AAAI 2019, algorithm 1. Differs: a row that is already known is never proposed again.

    >>> import foretell as ft
    >>> strategy = RegularizedEvolution(population=4, sample_size=2)
    >>> search = ft.Search(ft.spaces.get("nb201"), strategy)
    >>> search.round_size, search.ask(4).shape
    (4, (4, 6))
    """

    population: int = 50
    sample_size: int = 10
    batch: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.sample_size <= self.population or self.batch < 1:
            raise SettingError(
                "regularized-evolution",
                expected="1 <= sample_size <= population and batch of at least 1",
                got=f"sample_size {self.sample_size}, population {self.population}, "
                f"batch {self.batch}",
            )

    def propose(self, space: Space, history: History, n: int, rng: np.random.Generator) -> Rows:
        """Random rows until `population` are known or out, then mutants of tournament winners."""
        members = history.ok._where(slice(-self.population, None))
        n_random = n if not len(members) else min(n, max(self.population - len(history), 0))
        first = fresh(space, history, n_random, lambda k: space.sample(k, rng), rng)
        if n_random == n:
            return first

        def mutants(k: int) -> Rows:
            size = min(self.sample_size, len(members))
            drawn = np.argsort(rng.random((k, len(members))), axis=1)[:, :size]
            winner = drawn[np.arange(k), np.argmax(members.y[drawn], axis=1)]
            return space.mutate(members.X[winner], rng)

        known = history.with_pending(first)
        return np.concatenate([first, fresh(space, known, n - n_random, mutants, rng)])

    def round_size(self, done: int) -> int:
        """The rest of the random rows, then `batch` children."""
        return max(self.population - done, self.batch)
