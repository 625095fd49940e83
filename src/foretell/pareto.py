"""Several objectives at once: who beats whom, and which rows to keep.

Everywhere `F` is (n, m): one row an architecture, one column an objective, larger is better. Row a
dominates row b when it is at least as good in every column and better in one; equal rows do not
dominate each other. A row with a NaN counts as the worst in every column.

References: Deb, Pratap, Agarwal and Meyarivan, A fast and elitist multiobjective genetic algorithm:
NSGA-II, IEEE Transactions on Evolutionary Computation 6(2), 2002 (below: Deb 2002).
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foretell.errors import DataError

Floats = NDArray[np.float64]
Index = NDArray[np.int64]


def nondominated(F: ArrayLike) -> NDArray[np.bool_]:
    """Which rows no other row dominates: the Pareto front.

    Two objectives take one sort and a running maximum, more of them one pass over the rows that
    are left for each row of the front.

    Shapes: (n, m) to (n,).

    >>> nondominated([[3, 0], [2, 2], [1, 1], [0, 3], [2, 2]]).tolist()
    [True, True, False, True, True]
    """
    G = _matrix(F)
    answer = np.zeros(len(G), dtype=bool)
    if G.shape[1] <= 2:
        order, first, second = _sorted_pairs(G)
        if len(order):
            # where the rows with this first value begin, and the best second value before them
            start = np.flatnonzero(np.append(True, first[1:] != first[:-1]))
            length = np.diff(np.append(start, len(order)))
            best = second[start]
            ahead = np.append(True, best[1:] > np.maximum.accumulate(best)[:-1])
            answer[order] = (second == np.repeat(best, length)) & np.repeat(ahead, length)
        return answer
    order, ranks = _by_rank_sum(G)
    answer[order[_first_front(ranks)]] = True
    return answer


def fronts(F: ArrayLike) -> Index:
    """The non-dominated front of each row: 0 no row dominates, 1 only rows of front 0 do, ...

    Shapes: (n, m) to (n,).

    References: Deb 2002, section III-A. Differs: one or two objectives take n log n steps for any
    number of fronts (each row goes to the first front whose last row does not dominate it).

    >>> fronts([[3, 0], [2, 2], [1, 1], [0, 3], [0, 0]]).tolist()
    [0, 0, 1, 0, 2]
    """
    return _fronts(_matrix(F))


def crowding(F: ArrayLike, front: ArrayLike | None = None) -> Floats:
    """The crowding distance of each row among those of its front.

    For each objective the rows are sorted, and a row adds the distance between its two neighbours
    over the range of the front; the two ends are infinitely far. Larger is lonelier.

    Args:
        F: objectives.
        front: which front each row is in; None when they are of one.

    Shapes: (n, m) and (n,) to (n,).

    References: Deb 2002, section III-B, crowding-distance-assignment.

    >>> crowding([[4, 0], [3, 1], [1, 3], [0, 4]]).tolist()
    [inf, 1.5, 1.5, inf]
    """
    G = _matrix(F)
    groups = np.zeros(len(G), dtype=np.int64) if front is None else np.asarray(front)
    if groups.shape != (len(G),):
        raise DataError("front", expected=f"shape ({len(G)},)", got=f"shape {groups.shape}")
    distance = np.zeros(len(G))
    if not len(G):
        return distance
    for column in G.T:
        order = np.lexsort((column, groups))
        value, edge = column[order], np.diff(groups[order]) != 0
        first, last = np.append(True, edge), np.append(edge, True)
        start = np.flatnonzero(first)
        with np.errstate(invalid="ignore"):  # infinite objectives
            span = np.repeat(value[last] - value[start], np.diff(np.append(start, len(G))))
            gap = np.zeros(len(G))
            gap[1:-1] = value[2:] - value[:-2]
        add = np.divide(gap, span, out=np.zeros(len(G)), where=np.isfinite(gap) & (span > 0))
        distance[order] += np.where(first | last, np.inf, add)
    return distance


def best(F: ArrayLike, k: int) -> Index:
    """The `k` best rows by front, then by crowding distance, best first.

    This is the survival selection of NSGA-II, in the order of its crowded comparison. Rows that
    are equal in both keep their order.

    Args:
        F: objectives.
        k: how many; all of them when there are fewer.

    Shapes: (n, m) to (min(k, n),).

    References: Deb 2002, section III-C.

    >>> best([[0, 0], [4, 0], [3, 1], [0, 4], [1, 3.5]], 3).tolist()
    [1, 3, 2]
    """
    G = _matrix(F)
    if G.shape[1] == 1:  # fronts are values, nothing is crowded
        return np.argsort(-G[:, 0], kind="stable")[: max(k, 0)]
    front = _fronts(G, enough=k)
    # a row behind the front that fills the k-th place is not chosen, so it needs no distance
    last = np.partition(front, k - 1)[k - 1] if 0 < k < len(G) else np.inf
    chosen = np.flatnonzero(front <= last)
    order = np.lexsort((-crowding(G[chosen], front[chosen]), front[chosen]))
    return chosen[order][: max(k, 0)]


def hypervolume(F: ArrayLike, reference: ArrayLike) -> float:
    """The volume of all points that some row dominates and that are better than `reference`.

    Exact: two objectives by one sort; each further one cuts the volume into slices.

    Args:
        F: objectives; rows that are not better than the reference in every column add nothing.
        reference: a point that is worse than all of interest.

    Shapes: (n, m) and (m,) to a number, in the product of the objectives' units.

    References: Zitzler and Thiele, Multiobjective optimization using evolutionary algorithms,
    PPSN 1998; slices: While et al., A faster algorithm for calculating hypervolume, IEEE
    Transactions on Evolutionary Computation 10(1), 2006.

    >>> hypervolume([[3, 1], [1, 2], [1, 1]], [0, 0])
    4.0
    """
    G, point = _matrix(F), np.asarray(reference, dtype=np.float64)
    if point.shape != (G.shape[1],) or not np.isfinite(point).all():
        raise DataError("reference", expected=f"{G.shape[1]} finite numbers", got=point.tolist())
    above = G - point
    return _volume(above[(above > 0).all(axis=1)])


def _volume(G: Floats) -> float:
    """The volume between 0 and positive rows (n, m)."""
    G = np.unique(G[nondominated(G)], axis=0)[::-1]  # first column falling
    if len(G) == 0:
        return 0.0
    if G.shape[1] == 1:
        return float(G[0, 0])
    if G.shape[1] == 2:  # so the second one rises
        return float((G[:, 0] * np.diff(G[:, 1], prepend=0.0)).sum())
    thickness = G[:, 0] - np.append(G[1:, 0], 0.0)
    slices = np.array([_volume(G[: i + 1, 1:]) for i in np.flatnonzero(thickness)])
    return float(thickness[thickness > 0] @ slices)


def _matrix(F: ArrayLike) -> Floats:
    """`F` as floats, rows with a NaN as -inf."""
    array = np.asarray(F, dtype=np.float64)
    if array.ndim != 2 or not array.shape[1]:
        raise DataError(
            "objectives F", expected="one row each, shape (n, m)", got=f"shape {array.shape}"
        )
    return np.where(np.isnan(array).any(axis=1, keepdims=True), -np.inf, array)


def _sorted_pairs(G: Floats) -> tuple[Index, Floats, Floats]:
    """The order of falling first, then second value of (n, 1) or (n, 2), and both in it."""
    first, second = G[:, 0], G[:, -1]
    order = np.lexsort((-second, -first))
    return order, first[order], second[order]


def _by_rank_sum(G: Floats) -> tuple[Index, Index]:
    """An order in which no row stands behind one that it dominates, and the ranks (n, m) in it.

    Ranks are whole numbers, so that their sum cannot lose a small difference, as a float can.
    """
    columns = [np.unique(column, return_inverse=True)[1] for column in G.T]
    ranks = np.stack(columns, axis=1).astype(np.int64)
    order = np.argsort(-ranks.sum(axis=1), kind="stable")
    return order, ranks[order]


def _first_front(ranks: Index) -> Index:
    """The non-dominated rows of ranks in the order of `_by_rank_sum`."""
    left = np.arange(len(ranks))
    found = []
    while len(left):  # the first row that is left is dominated by none
        one = ranks[left[0]]
        beats = (ranks[left] > one).any(axis=1)
        equal = (ranks[left] == one).all(axis=1)
        found.append(left[equal])
        left = left[beats]
    return np.sort(np.concatenate(found)) if found else left


def _fronts(G: Floats, enough: int | None = None) -> Index:
    """`fronts`; with `enough`, rows behind the fronts that hold so many may share the next one."""
    if G.shape[1] == 1:
        return np.unique(-G[:, 0], return_inverse=True)[1].astype(np.int64)
    front = np.zeros(len(G), dtype=np.int64)
    if G.shape[1] == 2:
        order, first, second = _sorted_pairs(G)
        tails: list[float] = []  # of each front, minus the second value of its last row
        numbers: list[int] = []
        before = None
        for pair in zip(first.tolist(), second.tolist(), strict=True):
            if pair != before:
                at = bisect_right(tails, -pair[1])
                tails[at : at + 1] = [-pair[1]]
                before = pair
            numbers.append(at)
        front[order] = numbers
        return front
    order, ranks = _by_rank_sum(G)
    number = done = 0
    while len(order) and (enough is None or done < enough):
        mine = _first_front(ranks)
        front[order[mine]] = number
        order, ranks = np.delete(order, mine), np.delete(ranks, mine, axis=0)
        number, done = number + 1, done + len(mine)
    front[order] = number
    return front
