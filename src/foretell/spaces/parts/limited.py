"""`Limited`: a space without the rows that cost more than they may."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foretell._rng import as_rng
from foretell.errors import SettingError, SpaceError
from foretell.spaces.base import COUNT_LIMIT, Costs, Rng, Rows, Space
from foretell.spaces.parts.limits import COSTS, LATENCY, Latency, Limits
from foretell.spaces.parts.settings import at_least, no_cost

__all__ = ["Limited", "parse_limits"]

_BLOCK = 65_536
_BUILT_LIMIT = 4096  # rows that are built to count those within the limits
_SCALES = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}


class Limited(Space):
    """A space narrowed by `Limited.of`; in its class this comes before the class of that space.

    What draws or lists rows gives rows within all limits alone: `sample`, `mutate`, `neighbors`,
    `enumerate`, `contains`, `within`, `size`. What reads rows takes any row of the whole space, so
    that tables, journals and results from elsewhere can be told: `check`, `from_str`, keys, graphs,
    `build`, costs, encodings, predictors.
    """

    _within: Limits  # the only name of its own, as the other class may use any

    @staticmethod
    def of(space: Space, limits: Mapping[str, float], latency: Latency | None = None) -> Space:
        """`space` with only those rows x that have cost_k(x) <= limit_k for all k.

        Random rows are draws of `space.sample` within the limits. Where these are too rare, rows
        are found by going downhill: from the draws of least excess sum_k max(0, log(cost_k /
        limit_k)), a mutant of less excess takes the place of its parent until none is left; then a
        random walk within the limits spreads them. Costs without a closed form are counted on
        networks that are built, each once, or measured by `latency`. A row whose network cannot be
        built or measured is over the limits.

        Args:
            space: to narrow; of one that is limited already the lower of both limits holds.
            limits: the most of "params", "flops" and "latency_ms" (milliseconds) that a row may
                cost, positive; none at all to have `latency` among the costs and nothing more.
            latency: how milliseconds are found; needed to limit "latency_ms".

        Raises:
            SettingError: an unknown cost, a value that is no positive number, or, where costs
                have a closed form, limits that no network was found to keep.

        >>> import foretell as ft
        >>> small = Limited.of(ft.spaces.get("nb201"), {"params": 2e5})
        >>> small, small.size
        (<space nb201 with params <= 200k>, 5487)
        >>> bool((small.costs(small.sample(100, rng=0)).params <= 200_000).all())
        True
        """
        values = _checked(space.name, limits)
        if isinstance(space, Limited):
            latency = latency or space._within.latency
            held = space._within.values
            both = [(name, values.get(name), held.get(name)) for name in COSTS]
            values = {name: min(a or math.inf, b or math.inf) for name, a, b in both if a or b}
            space = space.whole
        if LATENCY in values and latency is None:
            raise no_cost(space.name, LATENCY, Costs._fields)
        if not values and latency is None:
            return space
        quick = {name: value for name, value in values.items() if name != LATENCY}
        if quick and space.closed_form_costs:
            _narrowed(space, quick, None).sample(1, rng=0)  # an error if there is no such row
        return _narrowed(space, values, latency)

    @property
    def whole(self) -> Space:
        """The space without limits: its `size` and how it was made."""
        return self._within.space

    @cached_property
    def loose(self) -> Space:
        """The space with the limits on costs that have a closed form alone."""
        mine = self._within
        return self if mine.quick else _narrowed(mine.space, mine.loose, mine.latency)

    def within(self, X: ArrayLike) -> NDArray[np.bool_]:
        """Which rows keep all limits, shape (n,); the quick ones are looked at first."""
        return self._within.inside(self.canonical_form(self.check(X)))

    def measure(self, X: ArrayLike, names: Sequence[str]) -> NDArray[np.float64]:
        """Costs of each row by name; NaN where a network cannot be built or measured.

        Shapes: (n, d) to (n, len(names)).

        Raises: SettingError for a cost that this space does not know.
        """
        return self._within.measure(self.canonical_form(self.check(X)), names)

    def closed_form(self, names: Sequence[str]) -> bool:
        """Whether `measure` of these costs is quick on whole arrays, as a fitted `Latency` is."""
        quick, latency = self.closed_form_costs, self._within.latency
        return all(latency is not None and latency.quick if n == LATENCY else quick for n in names)

    @property
    def size(self) -> int:
        """Number of rows within the limits, counted once by listing.

        Raises: SpaceError where there are more than 16,777,216 rows to look at, or more than 4,096
            networks to build.
        """
        if self._counted is None:
            most = COUNT_LIMIT if self._within.quick else _BUILT_LIMIT
            if self.whole.size > most:
                raise SpaceError(
                    f"{self!r} is too large to count: {self.whole.size:,} rows to look at",
                    expected=f"at most {most:,}",
                    hint="`whole.size` counts the rows without limits",
                )
            self._counted = sum(map(len, self.enumerate()))
        return self._counted

    def contains(self, X: ArrayLike) -> NDArray[np.bool_]:
        """Which rows are architectures of the whole space and within the limits, shape (n,)."""
        inside = self.whole.contains(X)
        if inside.any():
            inside[inside] = self.within(np.asarray(X)[inside])
        return inside

    def enumerate(self, batch: int = _BLOCK) -> Iterator[Rows]:
        """Every row within the limits once, in blocks of `batch` rows; constant memory."""
        at_least(batch=(batch, 1))
        held = self._within.space.sample(0)
        for rows in self.whole.enumerate(max(batch, _BLOCK)):  # few of them may be left
            held = np.concatenate([held, rows[self._within.inside(rows)]])
            full = len(held) // batch * batch
            for start in range(0, full, batch):
                yield held[start : start + batch]
            held = held[full:]
        if len(held):
            yield held

    def sample(self, n: int, rng: Rng = None) -> Rows:
        """`n` random rows within the limits, found as `Limited.of` says, with replacement.

        Shapes: returns (n, d).

        Raises: SettingError where no row within the limits is found.
        """
        return self._within.sample(n, as_rng(rng))

    def mutate(self, X: ArrayLike, rng: Rng = None) -> Rows:
        """Mutants of the whole space that are within the limits.

        A row without a neighbour within the limits comes back as it is; one that is itself over
        the limits becomes a random row within them then.

        Shapes: (n, d) to (n, d).
        """
        return self._within.mutate(self.canonical_form(self.check(X)), as_rng(rng))

    def neighbors(self, x: ArrayLike) -> Rows:
        """All neighbours of the whole space that are within the limits, shape (k, d).

        Where a change opens decisions whose first options are over the limits, they take the
        others of least cost.
        """
        return self._within.neighbors(np.asarray(x))

    def from_str(self, strings: Sequence[str]) -> Rows:
        """Rows of the given strings, also of those over the limits."""
        return self.whole.from_str(strings)

    def with_io(self, input_shape: Sequence[int], n_outputs: int) -> Any:
        """The same limits for networks on other data; what they cost is counted anew."""
        inner, latency = self.whole.with_io(input_shape, n_outputs), self._within.latency
        same = (inner.input_shape, inner.n_outputs) == (self.input_shape, self.n_outputs)
        if latency is not None and not same:
            latency = latency.anew()
        return _narrowed(inner, self._within.values, latency)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_narrowed, (self.whole, self._within.values, self._within.latency))

    def __repr__(self) -> str:
        return f"<space {self.name} with {self._within}>"


def _narrowed(space: Space, limits: Mapping[str, float], latency: Latency | None) -> Limited:
    """A copy of the space whose class has `Limited` before its own."""
    kind = type(space)
    place = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    limited: Limited = object.__new__(type(kind.__name__, (Limited, kind), place))
    limited.__dict__.update(vars(space), _within=Limits(space, limits, latency), _counted=None)
    return limited


def parse_limits(text: str) -> dict[str, float]:
    """Limits in one word: `name=number`, commas between; numbers such as 5, 2.5k, 1M, 1G, 3e6.

    Raises: SettingError that says which part is wrong.

    >>> parse_limits("params=1M,flops=50M,latency_ms=5")
    {'params': 1000000.0, 'flops': 50000000.0, 'latency_ms': 5.0}
    """
    limits: dict[str, float] = {}
    for part in text.split(","):
        name, equals, value = (word.strip() for word in part.partition("="))
        number = re.fullmatch(
            r"((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*([kmgt]?)", value, re.IGNORECASE | re.ASCII
        )
        if name and name not in COSTS:
            raise no_cost(None, name[:40], COSTS)
        if not equals or number is None:
            raise SettingError(
                f"limits {text[:80]!r}, at {part.strip()[:40]!r}",
                expected="name=number such as params=1M, flops=50M or latency_ms=2.5",
            )
        if name in limits:
            raise SettingError(f"limits {text[:80]!r}", expected=f"{name} once")
        limits[name] = float(number[1]) * _SCALES[number[2].lower()]
    return _checked(None, limits)


def _checked(space: str | None, limits: Mapping[str, float]) -> dict[str, float]:
    """The limits as floats, always in the same order, or an error."""
    for name, value in limits.items():
        if name not in COSTS:
            raise no_cost(space, name, COSTS)
        kinds = (int, float, np.integer, np.floating)
        if isinstance(value, bool) or not isinstance(value, kinds) or not 0 < value < math.inf:
            raise SettingError(f"limit of {name}", expected="a positive number", got=repr(value))
    return {name: float(limits[name]) for name in COSTS if name in limits}
