"""What ranks before any result is known, and beside few."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Mapping

import numpy as np

from foretell import _catalog
from foretell.errors import ForetellError
from foretell.evidence import Evidence
from foretell.evidence.parts.inside import bound
from foretell.evidence.zero_cost.consensus import Consensus
from foretell.evidence.zero_cost.parts.aggregate import Aggregate, alone
from foretell.evidence.zero_cost.parts.ranks import log_rank
from foretell.evidence.zero_cost.parts.reference import REFERENCE
from foretell.predictors.base import Floats, Predictor
from foretell.predictors.parts.targets import deviation
from foretell.spaces.base import Rows, Space


class Untold:
    """Ranks rows without any target: by zero-cost scores, else by size, else all alike.

    Rows are scored one by one, so that a whole space can be ranked in parts; higher is better, on
    no scale of any target.

    Args:
        space: the space of the rows.
        evidence: what may be asked; None for the proxy `consensus` on noise in the shape of the
            space, where it has networks.

    Attributes:
        name: of what ranks.
        evidence: what is asked, and costs.
        note: in words.
    """

    def __init__(self, space: Space, evidence: tuple[Evidence, ...] | None) -> None:
        from foretell.evidence.zero_cost import ZeroCost  # torch, which only this needs

        self.space, self.evidence = space, tuple[Evidence, ...]()
        asked: tuple[Evidence, ...]
        if evidence is None:
            asked = (ZeroCost("consensus", space=space),) if _has_networks(space) else ()
        else:
            asked = tuple(bound(one, space) for one in scores_among(evidence))
        if asked:
            self.evidence = asked
            self.name = " + ".join(dict.fromkeys(name for one in asked for name in one.features))
            self.note = f"nothing is trained yet: ranking by {self.name} of untrained networks"
            return
        try:
            space.costs(space.sample(1, rng=0))
            self.name, self.note = "n-flops", "nothing is trained yet: ranking by flops"
        except ForetellError as error:
            self.name = "nothing"
            self.note = f"nothing is trained yet, and sizes are unknown ({str(error)[:200]})"

    def predict(self, X: Rows) -> Floats:
        """Scores (n,) of rows (n, d)."""
        if self.evidence:
            return _score(_columns(self.evidence, X))
        if self.name == "nothing":
            return np.zeros(len(X))
        return np.log(np.maximum(self.space.costs(X).flops.astype(np.float64), 1.0))


def _has_networks(space: Space) -> bool:
    try:
        x = space.sample(1, rng=0)[0]
        space.build(x, space.input_shape, space.n_outputs)
    except (ForetellError, NotImplementedError):
        return False
    return True


class ByScores(Predictor):
    """Ranks by zero-cost scores alone; the targets only give the line's place and slope.

        prediction = mean(y) + std(y) max(r, 0.01) (s - mean(s)) / std(s)

    with r the correlation of s and y, and s a sum of logarithms of ranks against the training rows:
    the `consensus` where its parts are among the scores, else all of them alike. The slope is
    always positive, so that few results cannot turn round what is known of many networks.

    Args:
        space: the space whose rows it sees.
        evidence: scores by the names of proxies.
        random_state: not used; there for the common contract.
    """

    def __init__(
        self, space: Space, evidence: tuple[Evidence, ...], random_state: int | None = None
    ) -> None:
        self.space = space
        self.evidence = evidence
        self.random_state = random_state

    def _fit(self, X: Rows, y: Floats, rng: np.random.Generator) -> None:
        self.asked_ = tuple(bound(one, self.space) for one in self.evidence)
        self.reference_ = {k: _place(values) for k, values in _columns(self.asked_, X).items()}
        s = self._score(X)
        r = float(np.mean((s - s.mean()) * (y - y.mean()))) / deviation(s) / deviation(y)
        spread = max(float(y.std()), 1e-6 * (abs(float(y.mean())) or 1.0))  # of equal targets
        self.slope_ = max(r, 0.01) * spread / deviation(s)
        self.intercept_ = float(y.mean() - self.slope_ * s.mean())

    def _score(self, X: Rows) -> Floats:
        return _score(_columns(self.asked_, X), self.reference_)

    def _predict(self, X: Rows) -> tuple[Floats, Floats | None]:
        return self.intercept_ + self.slope_ * self._score(X), None


def scores_among(evidence: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """Evidence whose features are proxies of the catalog."""
    known = set(_catalog.names("proxy"))
    return tuple(one for one in evidence if known.issuperset(one.features))


def _columns(evidence: Iterable[Evidence], X: Rows) -> dict[str, Floats]:
    """Scores (n,) by name."""
    return {
        name: values
        for one in evidence
        for name, values in zip(one.features, one.values(X).T, strict=True)
    }


def _place(values: Floats) -> tuple[float, float]:
    """Median and half the distance of the quartiles of scores."""
    there = values[~np.isnan(values)]
    if not len(there):
        return 0.0, 1.0
    low, centre, high = np.quantile(there, [0.25, 0.5, 0.75])
    return float(centre), float((high - low) / 2 or there.std() or 1.0)


def _score(
    columns: Mapping[str, Floats], reference: Mapping[str, tuple[float, float]] = REFERENCE
) -> Floats:
    """One number for each row, (n,), higher is better."""
    kinds = {name: _catalog.row("proxy", name).load() for name in columns}
    parts = Consensus.ranks.names
    single = [name for name, kind in kinds.items() if not issubclass(kind, Aggregate)]
    if not columns.keys() >= set(parts) and (told := set(columns) - set(single)):
        return np.asarray(sum(columns[name] for name in sorted(told)))
    chosen = Consensus.ranks
    if not columns.keys() >= set(parts):
        chosen = functools.reduce(operator.add, map(log_rank, single))
    better = {name: kinds[name].higher_is_better for name in chosen.names}
    return alone(chosen, columns, better, reference)
