"""One search of a study, and what was the best in it, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Direction = Literal["max", "min"]

CHECKPOINTS = (10, 20, 50, 100, 130, 150, 200, 300, 500, 1_000, 2_000, 5_000, 10_000)


@dataclass(frozen=True)
class SearchRecord:
    """One search: the values it saw, oldest first, and what the test column says at the end.

    `values` has None for a row without a value (a failed trial, which costs a network as well);
    `test` belongs to the row with the best value, None without a test column, and `tests` has that
    of each row that was the best when its result came: looked up when the search was over.
    `seconds` is processor time of the search itself. Of searches that stop trainings early,
    `epochs` has the epochs of each value and `rows` the number of its network; with a clock,
    `ended_s` the seconds since the beginning, of as many workers as are simulated. `costs` are
    those of each value's network, where the study has some.
    """

    strategy: str
    settings: str
    seed: int
    values: tuple[float | None, ...] = ()
    test: float | None = None
    seconds: float = 0.0
    error: str = ""
    epochs: tuple[int, ...] = ()
    rows: tuple[int, ...] = ()
    ended_s: tuple[float, ...] = ()
    tests: tuple[float | None, ...] = ()
    costs: tuple[tuple[float, ...], ...] = ()

    def incumbents(self, direction: Direction) -> Floats:
        """Best value known when 1, 2, ... networks have a result, (networks,).

        Of values after different numbers of epochs those with most count.
        """
        return self._at_networks(np.array(self.values, dtype=np.float64), direction)

    def tested(self, direction: Direction) -> Floats:
        """Test value of those, (networks,); empty without a test column."""
        if len(self.tests) != len(self.values):
            return np.zeros(0)
        return self._at_networks(np.array(self.tests, dtype=np.float64), direction)

    def _at_networks(self, of: Floats, direction: Direction) -> Floats:
        at, networks = self._places(np.arange(len(of)), direction)
        out = np.full(int(networks.max(initial=0)), np.nan)
        out[networks - 1] = np.where(at >= 0, of[at], np.nan)  # the last result of each network
        return out

    def over_time(self, direction: Direction, at_s: Floats, tests: bool = False) -> Floats:
        """Best value known after so many seconds of the clock, (times,); NaN before the first.

        With `tests` the test value of that row.
        """
        return self._over(np.array(self.ended_s), direction, at_s, tests)

    def over_epochs(
        self, direction: Direction, at: Floats, whole: int, tests: bool = False
    ) -> Floats:
        """The same after so many epochs of training, of all networks together."""
        return self._over(self.spent_epochs(whole), direction, at, tests)

    def spent_epochs(self, whole: int) -> Floats:
        """Epochs of all trainings until each result, (n,).

        Args:
            whole: epochs of a training where the record has no others.

        >>> SearchRecord("a", "", 0, (1.0, 2.0, 3.0), epochs=(1, 1, 4), rows=(0, 1, 0)
        ...     ).spent_epochs(9).tolist()
        [1.0, 2.0, 5.0]
        """
        if not self.epochs:
            return whole * np.arange(1.0, len(self.values) + 1)
        far: dict[int, int] = {}
        more = np.zeros(len(self.epochs))
        for i, (row, reach) in enumerate(zip(self.rows, self.epochs, strict=True)):
            more[i] = max(reach - far.get(row, 0), 0)
            far[row] = max(reach, far.get(row, 0))
        return np.cumsum(more)

    def _over(self, spent: Floats, direction: Direction, at: Floats, tests: bool) -> Floats:
        of = np.array(self.tests if tests else self.values, dtype=np.float64)
        if len(of) != len(spent) or not len(of):
            return np.full(len(at), np.nan)
        order = np.argsort(spent, kind="stable")
        places, _ = self._places(order, direction)
        best = np.where(places >= 0, of[order][places], np.nan)
        done = np.searchsorted(spent[order], at, side="right")
        return np.where(done > 0, best[np.maximum(done - 1, 0)], np.nan)

    def _places(
        self, order: NDArray[np.int64], direction: Direction
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        epochs, rows = (np.array(one)[order] if one else () for one in (self.epochs, self.rows))
        y = np.array(self.values, dtype=np.float64)[order]
        return best_places(y, list(epochs), list(rows), direction)

    def objectives(self, sign: float) -> tuple[Floats, NDArray[np.int64]]:
        """Value and costs of each result that was trained to the end, larger is better.

        Shapes: (k, 1 + costs), and (k,) how many networks had a result by then.
        """
        y = sign * np.array(self.values, dtype=np.float64)
        F = np.column_stack([y, -np.array(self.costs, dtype=np.float64).reshape(len(y), -1)])
        whole = np.isfinite(F).all(axis=1)
        networks = np.arange(1, len(y) + 1)
        if self.epochs:
            whole &= np.array(self.epochs) == max(self.epochs)
            networks = best_places(y, self.epochs, self.rows, "max")[1]
        return F[whole], networks[whole]


def best_places(
    y: ArrayLike, epochs: Sequence[int], rows: Sequence[int], direction: Direction
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """After each result which one is the best, and how many networks have one.

    Of results after different numbers of epochs those with most count; -1 where none is known.

    Shapes: `y` (n,); epochs and rows (n,), or empty where each network has one result.

    >>> best_places([1.0, 3.0, float("nan"), 2.0], (), (), "max")[0].tolist()
    [0, 1, 1, 1]
    """
    y = np.asarray(y, dtype=np.float64)
    score = y if direction == "max" else -y
    at, networks = np.full(len(y), -1), np.arange(1, len(y) + 1)
    best, far = -1, -1
    seen: set[int] = set()
    for i, value in enumerate(score):
        reach = epochs[i] if len(epochs) else 0
        if np.isfinite(value) and (reach > far or (reach == far and value > score[best])):
            best, far = i, reach
        at[i] = best
        if len(rows):
            seen.add(rows[i])
            networks[i] = len(seen)
    return at, networks


def ever_best(
    y: ArrayLike,
    epochs: Sequence[int],
    rows: Sequence[int],
    ended_s: Sequence[float],
    direction: Direction,
) -> set[int]:
    """Places of all results that were the best when they came, told or ended.

    >>> sorted(ever_best([1.0, 3.0, 2.0], (), (), [1.0, 9.0, 5.0], "max"))
    [0, 1, 2]
    """
    told, _ = best_places(y, epochs, rows, direction)
    order = np.argsort(ended_s, kind="stable")
    some = [[one[i] for i in order] if len(one) else () for one in (epochs, rows)]
    ended, _ = best_places(np.asarray(y)[order], some[0], some[1], direction)
    return {int(i) for i in told if i >= 0} | {int(order[i]) for i in ended if i >= 0}


def checkpoints(budget: int) -> list[int]:
    """Numbers of networks at which searches are compared, the last being the budget."""
    return [n for n in CHECKPOINTS if n < budget] + [budget]
