"""Optuna's distributions as columns of `X`: decisions of a space, or parameters of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from foretell.encodings.base import Encoding
from foretell.errors import SpaceError
from foretell.spaces.base import Rows, Space

LEVELS = 64  # values of a number that has more of them, or that is continuous


def drawable(space: Space, x: Rows) -> NDArray[np.bool_]:
    """Which decisions of a row (d,) a trial draws: those that apply, if choices alone say so.

    Where a space has conditions of its own, such as "this edge is on a path", what applies is not
    known before all is drawn: then it is all of them.
    """
    if type(space).active is not Space.active:
        return np.ones(space.d, dtype=bool)
    applies: NDArray[np.bool_] = space.active(x[None])[0]
    return applies


class Grid:
    """Named distributions as a space: rows of parameters, and parameters of rows.

    Numbers become levels: all values if there are at most 64, else 64 of them, equidistant on the
    distribution's own scale. A parameter between two levels is the nearest one.

    Args:
        wanted: name -> distribution.
        space: whose columns have these names; None makes a space of independent decisions.
    """

    def __init__(self, wanted: Mapping[str, BaseDistribution], space: Space | None = None) -> None:
        self.wanted = dict(wanted)
        self.levels = [_levels(one) for one in self.wanted.values()]
        # numbered, because a study may have names and options that a space has not
        numbered = {f"p{j}": list(range(len(one))) for j, one in enumerate(self.levels)}
        self.space = Space.from_choices(numbered, _no_network) if space is None else space
        self._cuts: list[NDArray[np.float64] | None] = []  # between levels; None: no numbers
        self._features: list[NDArray[np.float32]] = []
        for one, levels in zip(self.wanted.values(), self.levels, strict=True):
            if isinstance(one, CategoricalDistribution):
                self._cuts.append(None)
                self._features.append(np.eye(len(levels), dtype=np.float32))
            else:
                scaled = _scaled(one, levels)
                self._cuts.append((scaled[1:] + scaled[:-1]) / 2)
                place = (scaled - scaled[0]) / (np.ptp(scaled) or 1.0)
                self._features.append(place.astype(np.float32)[:, None])

    def rows(self, params: Sequence[Mapping[str, Any]]) -> tuple[Rows, NDArray[np.bool_]]:
        """Rows in canonical form of the sets of parameters that have all that apply.

        Shapes: returns (m, d), and which sets these are, (n,).
        """
        given = np.full((len(params), len(self.wanted)), np.nan)
        for j, (name, one) in enumerate(self.wanted.items()):
            for i, values in enumerate(params):
                if name in values and one._contains(one.to_internal_repr(values[name])):
                    given[i, j] = one.to_internal_repr(values[name])
        X = np.zeros(given.shape, dtype=self.space._dtype)
        for j, (one, cuts) in enumerate(zip(self.wanted.values(), self._cuts, strict=True)):
            column = np.nan_to_num(given[:, j])
            X[:, j] = column if cuts is None else np.searchsorted(cuts, _scaled(one, column))
        whole = ~(np.isnan(given) & self.space.active(X)).any(axis=1)
        X = self.space.canonical_form(X)
        whole &= self.space.contains(X)
        return X[whole], whole

    def params(self, x: Rows) -> dict[str, Any]:
        """Name -> value of the decisions that are to be drawn for a row (d,)."""
        drawn = drawable(self.space, x)
        columns = enumerate(self.wanted)
        return {name: self.levels[j][x[j]] for j, name in columns if drawn[j]}

    @property
    def encodings(self) -> tuple[Encoding, ...]:
        """One of each parameter, so that a predictor can weigh them: numbers as their place
        between the ends of their range, the rest as one bit an option."""
        tables = enumerate(self._features)
        return tuple(Column(self.space, j, table) for j, table in tables)


class Column(Encoding):
    """Features of one decision, looked up for each of its levels.

    Args:
        space: the space whose rows it sees.
        column: of the decision.
        features: of its levels, (levels, f).
    """

    def __init__(self, space: Space, column: int, features: NDArray[np.float32]) -> None:
        self.space = space
        self.column = column
        self.features = features

    def encode(self, X: Rows) -> NDArray[np.float32]:
        """Features (n, f)."""
        found: NDArray[np.float32] = self.features[X[:, self.column]]
        return found


def _levels(one: BaseDistribution) -> list[Any]:
    """Values of a distribution, in order."""
    if isinstance(one, CategoricalDistribution):
        return list(one.choices)
    if not isinstance(one, (FloatDistribution, IntDistribution)):
        raise SpaceError("distribution", expected="categorical, int or float", got=repr(one))
    low, high = one.low, one.high
    if one.step is not None and not one.log:
        n = round((high - low) / one.step) + 1
        at = np.unique(np.linspace(0, n - 1, min(n, LEVELS)).round())
        values: NDArray[Any] = low + at * one.step
    else:
        values = np.geomspace(low, high, LEVELS) if one.log else np.linspace(low, high, LEVELS)
    if isinstance(one, IntDistribution):
        return [int(value) for value in np.unique(values.round())]
    return [float(value) for value in np.clip(values, low, high)]


def _scaled(one: BaseDistribution, values: Any) -> NDArray[np.float64]:
    """Numbers on the scale of their distribution."""
    numbers = np.asarray(values, dtype=np.float64)
    log = isinstance(one, (FloatDistribution, IntDistribution)) and one.log
    return np.log(np.maximum(numbers, 1e-300)) if log else numbers


def _no_network(*_: Any) -> Any:
    raise SpaceError("the parameters of an Optuna study are no networks")
