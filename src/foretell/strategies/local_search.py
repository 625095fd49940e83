"""Local search: from neighbour to better neighbour, and again from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from foretell.errors import SettingError
from foretell.search.history import History
from foretell.search.strategy import Proposal, Strategy
from foretell.spaces.base import Rows, Space
from foretell.strategies.parts.folded import folded
from foretell.strategies.parts.fresh import fresh


class _Climb(NamedTuple):
    """Where a search stands.

    Args:
        due: random rows that are to come before it climbs.
        x: the row that it stands on, (1, d); none while rows are due.
        y: its value; the best one of the start while rows are due.
        open: neighbours of x that nobody knows, (m, d), and `keys` of what they compute.
        next: the best neighbour so far, (1, d), and `next_y`, where all are looked at first.
    """

    due: int
    x: Rows
    y: float
    open: Rows
    keys: NDArray[np.uint64]
    next: Rows
    next_y: float


@dataclass(frozen=True)
class LocalSearch(Strategy):
    """From the best of some random rows to the first neighbour that is better, and so on.

    The neighbours of a row (`space.neighbors`) are evaluated in random order. As soon as one of
    them is better, the search goes on from there; when all are known and none is, it begins again
    with `start` random rows. A function that is known needs no evaluation and is not moved to.

    Args:
        start: random rows at each beginning, 1 or more.
        whole: whether all neighbours are evaluated before it moves, to the best of them.
        batch: neighbours between two tells; set it to the number of workers to keep them busy.
        repeats: whether a function may come again that is written differently.

    References: White et al., Exploring the Loss Landscape in Neural Architecture Search, UAI 2021,
    algorithm 1, and the variants of its section 3. Differs: a function is not evaluated twice, and
    from the start on rows that are told from elsewhere are moved to as well.

    >>> import foretell as ft
    >>> search = ft.Search(ft.spaces.get("nb201"), LocalSearch(start=1), seed=0)
    >>> first = search.ask(1)
    >>> search.tell(first, [0.5])
    >>> int((search.ask(1) != first).sum())
    1
    """

    start: int = 10
    whole: bool = False
    batch: int = 1
    repeats: bool = False

    def __post_init__(self) -> None:
        for name in ("start", "batch"):
            if getattr(self, name) < 1:
                raise SettingError(
                    f"local-search, {name}", expected="at least 1", got=getattr(self, name)
                )

    def propose(self, space: Space, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """Neighbours of where it stands; random rows at a beginning, or where these do not do."""
        climb = self._climb(space, history.told.latest)
        around = climb.open[rng.permutation(len(climb.open))] if not climb.due else climb.open[:0]
        given = [around]

        def first(k: int) -> Rows:
            return given.pop() if given else space.sample(k, rng=rng)

        return Proposal(fresh(space, history, n, first, rng, self.repeats))

    def _climb(self, space: Space, known: History) -> _Climb:
        """Where the search stands after all that is told."""
        key = space.row_key if self.repeats else space.canonical
        keys = key(known.X)
        nobody, nothing = known.X[:0], keys[:0]

        def begin() -> _Climb:
            return _Climb(self.start, nobody, -np.inf, nobody, nothing, nobody, -np.inf)

        def at(x: Rows, y: float, k: int) -> _Climb:
            """On a row after k + 1 records; at a beginning where there is nothing to look at."""
            rows = space.neighbors(x[0])
            theirs = key(rows)
            new = ~np.isin(theirs, keys[: k + 1])
            if not new.any():
                return begin()
            return _Climb(0, x, y, rows[new], theirs[new], nobody, -np.inf)

        def step(now: _Climb, record: History, k: int) -> _Climb:
            x, y = record.X, float(record.y[0])
            if now.due:
                if y > now.y:
                    now = now._replace(next=x, y=y)
                now = now._replace(due=now.due - 1)
                if now.due:
                    return now
                return at(now.next, now.y, k) if len(now.next) else begin()
            if y > now.y and not self.whole:
                return at(x, y, k)
            if y > max(now.y, now.next_y):
                now = now._replace(next=x, next_y=y)
            left = now.keys != keys[k]
            if left.any():
                return now._replace(open=now.open[left], keys=now.keys[left])
            return at(now.next, now.next_y, k) if len(now.next) else begin()

        return folded(space, repr(self), known, 1, begin, step)

    def round_size(self, history: History) -> int:
        """The first random rows, then `batch`."""
        return max(self.start - len(history.told.latest), self.batch)
