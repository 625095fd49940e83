"""`local-search` against a plain rendering of the paper's algorithm, and on a real table."""

from __future__ import annotations

import numpy as np
import pytest

import foretell as ft
from foretell._rng import stream
from foretell.errors import SettingError
from foretell.search.history import History
from foretell.strategies.local_search import LocalSearch

SPACE = ft.spaces.get("nb201")


def value(X):
    """Rugged, with local optima."""
    weights = stream(0, "rugged").normal(size=(6, 5))
    pairs = stream(1, "rugged").normal(size=(5, 5))
    return weights[np.arange(6), X].sum(axis=1) + 2 * pairs[X[:, 0], X[:, 5]]


def plain(order, start, whole):
    """Starts and moves of White et al., algorithm 1, given the rows in the order of evaluation."""
    steps, i, known = [], 0, set()
    while i + start <= len(order):
        first = order[i : i + start]
        known |= {tuple(x) for x in first}
        i += start
        x = max(first, key=lambda x: value(np.array([x]))[0])
        steps.append(("start", tuple(x)))
        while True:
            left = {tuple(z) for z in SPACE.neighbors(x)} - known
            best, moved = None, False
            while left:
                if i == len(order):
                    return steps
                z = tuple(order[i])
                i += 1
                assert z in left, "not a neighbour of where the search stands"
                left.remove(z)
                known.add(z)
                fitness = value(np.array([z]))[0]
                bar = value(np.array([x if best is None else best]))[0]
                if fitness > bar:
                    best = z
                    if not whole:
                        break
            if best is not None:
                x, moved = np.array(best), True
                steps.append(("move", best))
            if not moved:
                break
    return steps


@pytest.mark.parametrize("whole", [False, True])
def test_it_goes_as_the_paper_says(whole):
    strategy = LocalSearch(start=5, whole=whole, repeats=True)
    search = ft.Search(SPACE, strategy, seed=4)
    while search.n_rows < 260:
        X = search.ask(search.round_size)
        search.tell(X, value(X))
    steps = plain(list(search.history.X), 5, whole)
    kinds = [kind for kind, _ in steps]
    assert kinds.count("start") >= 2
    assert kinds.count("move") >= 5


def test_the_past_alone_says_where_it_stands():
    first = ft.Search(SPACE, LocalSearch(start=5), seed=4)
    for _ in range(60):
        X = first.ask(first.round_size)
        first.tell(X, value(X))
    again = ft.Search(ft.spaces.get("nb201"), LocalSearch(start=5), seed=4)  # remembers nothing
    for k in range(int(first.history.asks.max()) + 1):
        rows = first.history.asks == k
        again.replay(first.history.X[rows])
        again.tell(first.history.X[rows], first.history.y[rows])
    assert np.array_equal(first.ask(3), again.ask(3))


def test_failures_are_neighbours_that_are_no_better():
    x = SPACE.sample(1, rng=0)
    around = SPACE.neighbors(x[0])
    around = around[np.unique(SPACE.canonical(around), return_index=True)[1]]
    around = around[SPACE.canonical(around) != SPACE.canonical(x)]
    history = History.of(SPACE, x, [1.0]).append(around[1:], np.full(len(around) - 1, np.nan))
    last = LocalSearch(start=1).propose(SPACE, history, 1, stream(0)).X
    assert SPACE.canonical(last) == SPACE.canonical(around[:1])
    with pytest.raises(SettingError, match="local-search, start"):
        LocalSearch(start=0)
