"""Costs of networks that have to be built to be counted, each once."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from foretell.spaces.parts.reason import reason
from foretell.spaces.parts.rows import Rows
from foretell.spaces.parts.views import Costs

KEPT = 2**16  # rows whose costs are kept; beyond that the oldest are counted again


class _Space(Protocol):
    """What of a space is asked."""

    def row_key(self, X: Rows) -> NDArray[np.uint64]: ...

    def costs(self, X: Rows) -> Costs: ...


class Built:
    """Parameters and flops of rows, NaN where the network cannot be built.

    Args:
        space: whose `costs` builds networks.

    `why` is the reason of the last network that could not be built.
    """

    def __init__(self, space: _Space) -> None:
        self.space = space
        self.why = ""
        self._known: dict[int, tuple[float, float]] = {}

    def __call__(self, rows: Rows) -> NDArray[np.float64]:
        """Shapes: (n, d) to (2, n)."""
        keys = self.space.row_key(rows).tolist()
        counted = {}
        for key, row in zip(keys, rows, strict=True):
            if key not in counted:
                counted[key] = self._known.get(key) or self._count(row)
        for key, pair in counted.items():
            self._known.setdefault(key, pair)
        while len(self._known) > KEPT:
            del self._known[next(iter(self._known))]
        return np.array([counted[key] for key in keys]).reshape(-1, 2).T

    def __reduce__(self) -> tuple[type[Built], tuple[_Space]]:
        return type(self), (self.space,)  # a worker counts for itself

    def _count(self, row: Rows) -> tuple[float, float]:
        try:
            params, flops = self.space.costs(row[None])
        except Exception as error:  # a user's build may raise anything
            self.why = reason(error)
            return (np.nan, np.nan)
        return float(params[0]), float(flops[0])
