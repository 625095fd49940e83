"""What ranks before any result is known."""

from __future__ import annotations

import numpy as np

from foretell import _catalog
from foretell.errors import ForetellError
from foretell.evidence import Evidence, zero_cost
from foretell.evidence.parts.inside import bound
from foretell.predictors.base import Floats
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
            asked = tuple(bound(e, space) for e in evidence if isinstance(e, ZeroCost))
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
            return np.asarray(sum(_score(one, X) for one in self.evidence))
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


def _score(evidence: Evidence, X: Rows) -> Floats:
    """Aggregates are known alone; other proxies are put together as one would be."""
    from foretell.evidence.zero_cost.parts.aggregate import Aggregate, alone

    columns = dict(zip(evidence.features, evidence.values(X).T, strict=True))
    total = np.zeros(len(X))
    for name, values in columns.items():
        kind = _catalog.row("proxy", name).load()
        if issubclass(kind, Aggregate):
            total += values
        else:
            better = {name: kind.higher_is_better}
            total += alone(zero_cost.log_rank(name), {name: values}, better)
    return total
