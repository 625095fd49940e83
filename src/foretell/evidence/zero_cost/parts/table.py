"""Many networks by many proxies: as they come, in processes, and as a table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray

from foretell import _catalog
from foretell.evidence.zero_cost.parts.aggregate import Aggregate
from foretell.evidence.zero_cost.parts.evidence import ZeroCost
from foretell.evidence.zero_cost.parts.scoring import components, ranked, resolve
from foretell.spaces.base import Rows, Space


@dataclass(frozen=True)
class Scored:
    """One network: its number among the rows, scores by name, seconds, and why some are missing."""

    index: int
    scores: dict[str, float]
    seconds: float
    reason: str = ""


class Scoring:
    """Scores of rows (n, d) by proxies of the catalog, each network once.

    What was computed is in the ledger that is open (`foretell.evidence.ledger`): asked again, after
    a stop as well, it is read. Aggregates are ranks among all the rows, in `table`.

    Args:
        space: the space of the rows.
        X: rows (n, d).
        proxies: names of the catalog.
        data: see `ZeroCost`.
        batch: see `ZeroCost`.
        seed: see `ZeroCost`.
        device: see `ZeroCost`.
    """

    def __init__(
        self,
        space: Space,
        X: Rows,
        proxies: Sequence[str],
        data: Any = None,
        batch: int = 64,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.X, self.wanted = X, resolve(proxies)
        self.parts = tuple(components(self.wanted))
        self.evidence = ZeroCost(self.parts, data, batch, seed, space, device)
        self.found: dict[int, Scored] = {}

    def __iter__(self) -> Iterator[Scored]:
        return self.run()

    def run(self, workers: int = 1) -> Iterator[Scored]:
        """Each network when it is known, in the order of the rows."""
        if workers == 1:
            done = (_one(self.evidence, x) for x in self.X)
        else:
            pool = joblib.Parallel(n_jobs=workers, backend="loky", return_as="generator")
            done = pool(joblib.delayed(_one)(self.evidence, x) for x in self.X)
        for index, (values, seconds, reason) in enumerate(done):
            one = Scored(index, dict(zip(self.parts, values, strict=True)), seconds, reason)
            self.found[index] = one
            yield one

    def table(self) -> dict[str, NDArray[np.float64]]:
        """Scores (n,) of each proxy that was asked for; NaN where there is none."""
        rows = [self.found[i].scores for i in range(len(self.X))]
        known = {name: np.array([row[name] for row in rows]) for name in self.parts}
        return {
            name: ranked(one.ranks, known) if isinstance(one, Aggregate) else known[name]
            for name, one in self.wanted.items()
        }

    def order(self) -> NDArray[np.intp]:
        """The rows from the best to the worst by the first proxy that was asked for."""
        name, first = next((k, self.table()[k]) for k in self.wanted)
        better = _catalog.row("proxy", name).load().higher_is_better
        worst = -math.inf
        values = np.where(np.isnan(first), worst, first if better else -first)
        return np.argsort(-values, kind="stable")


def _one(evidence: ZeroCost, x: NDArray[Any]) -> tuple[list[float], float, str]:
    """Scores of a row in whatever process this is, its seconds, and why there are none."""
    (values,) = evidence.values(x[None]).tolist()
    (reason,) = evidence.failures(x[None])
    return values, float(evidence.spent(x[None])[0]), reason
