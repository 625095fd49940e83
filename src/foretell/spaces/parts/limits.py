"""What keeps a space within its limits: how far rows are over them, and the ways back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from foretell.errors import SettingError
from foretell.spaces.base import Costs, Rows, Space
from foretell.spaces.parts.settings import no_cost

LATENCY = "latency_ms"
COSTS = (*Costs._fields, LATENCY)
_UNITS = {"T": 1e12, "G": 1e9, "M": 1e6, "k": 1e3}
_UNASKED = 1e3  # excess for each group of limits that was not looked at; above any logarithm
_BLOCK = 65_536


class Latency(Protocol):
    """How milliseconds are found: `foretell.costs.latency.Latency`, or anything like it."""

    @property
    def quick(self) -> bool:
        """Whether whole arrays take no time to speak of."""

    def anew(self) -> Latency:
        """The same with nothing known, for other networks."""

    def __call__(
        self, space: Space, X: Rows, draw: Callable[[int, np.random.Generator], Rows], /
    ) -> NDArray[np.float64]:
        """Milliseconds (n,) of rows (n, d); `draw` gives rows to measure, where it fits."""


class Group(NamedTuple):
    """Limits that are looked at together."""

    names: tuple[str, ...]
    values: NDArray[np.float64]
    quick: bool  # whether costs of whole arrays take no time to speak of


class Effort(NamedTuple):
    """How much may be tried."""

    draws: int  # random rows in one call of `sample` ...
    draws_each: int  # ... and more for each row that is asked for
    starts: int  # rows from which one goes downhill
    children: int  # mutants looked at in one step downhill
    steps: int  # of the random walk that spreads rows within the limits
    tries: int  # mutants looked at before all neighbours are


_QUICK = Effort(draws=2**20, draws_each=0, starts=32, children=32, steps=64, tries=20)
_SLOW = Effort(draws=64, draws_each=32, starts=4, children=4, steps=4, tries=4)


class Limits:
    """The limits of a space, and rows of it that are within them.

    Args:
        space: without limits.
        values: the most of each cost.
        latency: how milliseconds are found, or None where nobody asks for them.
    """

    def __init__(self, space: Space, values: Mapping[str, float], latency: Latency | None) -> None:
        self.space, self.values, self.latency = space, dict(values), latency
        counted = [name for name in values if name != LATENCY]
        parts = [(counted, space.closed_form_costs)] if counted else []
        if LATENCY in values and latency is not None:
            parts.append(([LATENCY], latency.quick))
        self.groups = [
            Group(tuple(names), np.array([values[name] for name in names]), quick)
            for names, quick in sorted(parts, key=lambda part: not part[1])
        ]
        self.quick = all(group.quick for group in self.groups)
        self.effort = _QUICK if self.quick else _SLOW
        self.by_choice = type(space).neighbors is Space.neighbors

    @property
    def loose(self) -> dict[str, float]:
        """The quick limits alone."""
        quick = {name for group in self.groups if group.quick for name in group.names}
        return {name: value for name, value in self.values.items() if name in quick}

    def measure(self, rows: Rows, names: Sequence[str]) -> NDArray[np.float64]:
        """`Limited.measure` of rows in canonical form."""
        known = Costs._fields if self.latency is None else COSTS
        for name in names:
            if name not in known:
                raise no_cost(self.space.name, name, known)
        counted = [name for name in names if name != LATENCY]
        out = np.empty((len(rows), len(names)))
        out[:, [name != LATENCY for name in names]] = self.space.measure(rows, counted)
        if self.latency is not None and LATENCY in names:
            milliseconds = self.latency(self.space, rows, self._affordable)
            out[:, [name == LATENCY for name in names]] = milliseconds[:, None]
        return out

    def _affordable(self, n: int, rng: np.random.Generator) -> Rows:
        """Rows to measure: such as keep the quick limits on other costs."""
        others = {name: value for name, value in self.values.items() if name != LATENCY}
        keep = others if self.space.closed_form_costs else {}
        return Limits(self.space, keep, None).sample(n, rng)

    def excess(self, rows: Rows) -> NDArray[np.float64]:
        """How far rows (n, d) are over the limits, 0 within them; quick limits are asked first.

        sum_k max(0, log(cost_k / limit_k)) over the limits of one group, and more than any such
        sum for each group that was not asked because an earlier one is broken.
        """
        excess, asked = np.zeros(len(rows)), np.arange(len(rows))
        for k, group in enumerate(self.groups):
            costs = self.measure(rows[asked], group.names)
            over = ~(costs <= group.values)
            ratio = np.divide(costs, group.values, out=np.ones_like(costs), where=over)
            # the least positive number where rounding hides what is over
            part = np.where(over, np.maximum(np.log(ratio), 1e-12), 0.0).sum(axis=1)
            part = np.nan_to_num(part, nan=_UNASKED)
            good = part == 0
            excess[asked[~good]] = part[~good] + _UNASKED * (len(self.groups) - 1 - k)
            asked = asked[good]
        return excess

    def inside(self, rows: Rows) -> NDArray[np.bool_]:
        """Which rows are within all limits."""
        inside: NDArray[np.bool_] = self.excess(rows) == 0
        return inside

    # -- ways to rows within the limits ---------------------------------------------------------

    def sample(self, n: int, rng: np.random.Generator) -> Rows:
        """`Limited.sample`."""
        near = self.space.sample(0, rng)
        found, near_by, effort = [near], np.zeros(0), self.effort
        most, drawn, need, block = effort.draws + effort.draws_each * n, 0, n, n
        # while no row at all is within the limits, an eighth of the draws has to do
        while need and drawn < (most if need < n else most // 8):
            rows = self.space.sample(block, rng)
            excess = self.excess(rows)
            drawn += len(rows)
            found.append(rows[excess == 0][:need])
            need -= len(found[-1])
            near, near_by = np.concatenate([near, rows]), np.concatenate([near_by, excess])
            least = np.lexsort((near_by, near_by == 0))[: effort.starts]
            near, near_by = near[least], near_by[least]
            rate = (n - need + 0.5) / (drawn + 1)
            block = int(min(max(need, 1.2 * need / rate), _BLOCK))
        if not need:
            return np.concatenate(found)
        if n - need < effort.starts:
            ends, excess = self.downhill(near, rng)
            found.append(ends[excess == 0])
        starts = np.concatenate(found)
        if not len(starts):
            raise self._none(ends[np.argmin(excess)])
        rows = starts[rng.integers(len(starts), size=need)]
        for _ in range(effort.steps):
            moved = self.space.mutate(rows, rng)
            good = self.inside(moved)
            rows[good] = moved[good]
        return np.concatenate([starts[: n - need], rows])

    def downhill(self, rows: Rows, rng: np.random.Generator) -> tuple[Rows, NDArray[np.float64]]:
        """Where ways of ever less excess from each of `rows` end, and the excess there."""
        rows, excess, k = rows.copy(), self.excess(rows), self.effort.children
        going = np.flatnonzero(excess > 0)
        while len(going):
            children = self.space.mutate(np.repeat(rows[going], k, axis=0), rng)
            of_children = self.excess(children).reshape(-1, k)
            best, line = np.argmin(of_children, axis=1), np.arange(len(going))
            least = of_children[line, best]
            better = least < excess[going]
            rows[going[better]] = children[(line * k + best)[better]]
            excess[going[better]] = least[better]
            ended = []
            for i in going[~better]:  # no mutant is better: is any neighbour?
                around = self.space.neighbors(rows[i])
                of_around = self.excess(around)
                if not len(around) or of_around.min() >= excess[i]:
                    ended.append(i)
                else:
                    rows[i], excess[i] = around[np.argmin(of_around)], of_around.min()
            going = going[(excess[going] > 0) & ~np.isin(going, ended)]
        return rows, excess

    def mutate(self, parents: Rows, rng: np.random.Generator) -> Rows:
        """`Limited.mutate` of rows in canonical form."""
        children, todo = parents.copy(), np.arange(len(parents))
        for _ in range(self.effort.tries):
            if not len(todo):
                return children
            rows = self.space.mutate(parents[todo], rng)
            good = (rows != parents[todo]).any(axis=1)
            good[good] = self.inside(rows[good])
            children[todo[good]] = rows[good]
            todo = todo[~good]
        for i in todo:  # few ways out of this row: look at all of them
            around = self.neighbors(parents[i])
            if len(around):
                children[i] = around[rng.integers(len(around))]
            elif not self.inside(parents[i : i + 1])[0]:
                children[i] = self.sample(1, rng)[0]
        return children

    def neighbors(self, x: Rows) -> Rows:
        """`Limited.neighbors`."""
        rows = self.space.neighbors(x)
        excess = self.excess(rows)
        free = ~self.space.active(self.space.canonical_form(self.space.check(x[None])))[0]
        opened = (self.space.active(rows) & free).any(axis=1) & self.by_choice
        for i in np.flatnonzero((excess > 0) & opened):
            # decisions that the change opens took their first options: others may cost less
            while excess[i] > 0:
                around = self.space.neighbors(rows[i])
                around = around[((around == rows[i]) | free).all(axis=1)]
                of_around = self.excess(around)
                if not len(around) or of_around.min() >= excess[i]:
                    break
                rows[i], excess[i] = around[np.argmin(of_around)], of_around.min()
        rows = rows[excess == 0]
        return np.unique(rows, axis=0) if len(rows) else rows

    # -- words ----------------------------------------------------------------------------------

    def __str__(self) -> str:
        words = [f"{name} <= {short(value)}" for name, value in self.values.items()]
        return " and ".join(words) or LATENCY

    def _none(self, row: Rows) -> SettingError:
        """The error where nothing was found; `row` came nearest."""
        least, why = "", ""
        for group in self.groups:  # up to the first that is broken, as `excess` asks them
            (costs,) = self.measure(row[None], group.names)
            least = ", ".join(f"{n} {short(c)}" for n, c in zip(group.names, costs, strict=True))
            if np.isnan(costs).any() and self.space._built.why:
                why = f" ({self.space._built.why})"
            if not (costs <= group.values).all():
                break
        return SettingError(
            f"no network of space {self.space.name!r} was found within the limits",
            expected=str(self),
            got=f"{least} at the least{why}",
            hint="raise the limit, or take a space with smaller networks",
        )


def short(value: float) -> str:
    """A number in four digits.

    >>> short(72_346), short(1e6), short(0.5)
    ('72.35k', '1M', '0.5')
    """
    for unit, scale in _UNITS.items():
        if value >= scale:
            return f"{value / scale:.4g}{unit}"
    return f"{value:.4g}"
