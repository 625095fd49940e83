"""What every search strategy promises, as checks that anyone can run on an own one.

>>> import foretell as ft
>>> check_strategy(ft.strategies.get("random"), ft.spaces.get("nb201"))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foretell._rng import stream
from foretell.search.asktell import Search
from foretell.search.history import History
from foretell.search.strategy import Strategy
from foretell.spaces.base import Costs, Rows, Space, choice
from foretell.testing._globals import global_states


class Tiny(Space):
    """Twelve rows, and what they would cost."""

    a = choice([1, 2, 3])
    b = choice(["x", "y", "z", "w"])
    closed_form_costs = True

    def costs(self, X: ArrayLike) -> Costs:
        """Made-up numbers."""
        params = 1 + self.check(X).sum(axis=1, dtype=np.int64)
        return Costs(params, 2 * params)


def check_strategy(strategy: Strategy, space: Space) -> None:
    """Run all checks of this module; AssertionError says which promise is broken."""
    for check in CHECKS:
        check(strategy, space)


def made_up_values(space: Space, X: Rows) -> NDArray[np.float64]:
    """A smooth made-up objective on the rows of any space, (n,): weights on the options taken."""
    weights = stream(0, "made-up values").normal(size=(space.d, int(space.n_options.max())))
    taken = weights[np.arange(space.d), space.canonical_form(X)]
    return np.asarray((taken * space.active(X)).sum(axis=1))


def mixed_history(space: Space, n: int, seed: int = 0) -> History:
    """`n` finished results, some failed ones among them, and two that are still out.

    A small space gives fewer: never more than half of its rows.
    """
    X = space.sample(4 * n + 20, stream(seed, "rows"))
    _, first = np.unique(space.row_key(X), return_index=True)
    X = X[np.sort(first)][: min(n + 2, space.size // 2)]
    y = made_up_values(space, X)
    y[::5] = np.nan
    return History.of(space, X[:-2], y[:-2]).with_pending(X[-2:])


def check_new_rows(strategy: Strategy, space: Space) -> None:
    """Proposals are rows of the space (within its limits), as many as asked, different and new."""
    for size in (0, 1, 12, 40):
        history = mixed_history(space, size) if size else History.empty(space)
        for n in (1, 7):
            n = min(n, space.size - len(history))
            X = strategy.propose(space, history, n, stream(0, "new", size))
            assert X.shape == (n, space.d), f"asked for {n} rows, got shape {X.shape}"
            assert bool(space.contains(X).all()), "a proposed row is not of the space"
            keys = space.row_key(X)
            assert len(np.unique(keys)) == n, "a row was proposed twice"
            assert not np.isin(keys, space.row_key(history.X)).any(), "a known row was proposed"


def check_determinism(strategy: Strategy, space: Space) -> None:
    """Equal history and equal generator give equal rows; the history is left as it was."""
    history = mixed_history(space, 40)
    before = [array.copy() for array in (history.X, history.y, history.status, history.seconds)]
    first, second = (strategy.propose(space, history, 5, stream(0, "same")) for _ in range(2))
    assert np.array_equal(first, second), "equal history and generator gave different rows"
    after: tuple[Any, ...] = (history.X, history.y, history.status, history.seconds)
    for old, new in zip(before, after, strict=True):
        assert np.array_equal(old, new, equal_nan=True), "propose changed the history"


def check_explanation(strategy: Strategy, space: Space) -> None:
    """`explain` gives the rows of `propose`."""
    history = mixed_history(space, 40)
    X = strategy.propose(space, history, 5, stream(0, "explain"))
    told = strategy.explain(space, history, 5, stream(0, "explain"))
    assert np.array_equal(told.X, X), "explain tells of other rows than propose gives"


def check_global_randomness(strategy: Strategy, space: Space) -> None:
    """The global generators of random, numpy and (when it is loaded) torch are not touched."""
    history = mixed_history(space, 40)
    strategy.propose(space, history, 5, stream(0, "global"))  # what it imports may draw
    before = global_states()
    strategy.propose(space, history, 5, stream(0, "global"))
    for name, state in global_states().items():
        assert state == before[name], f"propose used the global generator of {name}"


def check_replay(strategy: Strategy, space: Space) -> None:
    """A search that is rebuilt from its journal goes on as if it had never stopped."""
    first, second = Search(space, strategy, seed=1), Search(space, strategy, seed=1)
    for k in range(4):
        X = first.ask(min(6, space.size // 8))
        values = made_up_values(space, X)
        values[k % 2 :: 3] = np.nan
        second.replay(X)
        for search in (first, second):
            search.tell(X[1:], values[1:])  # the first row of each round stays out
    assert np.array_equal(first.ask(3), second.ask(3)), "the rebuilt search went another way"


def check_hard_histories(strategy: Strategy, space: Space) -> None:
    """Nothing but failures, a single result, or equal values everywhere: the search goes on."""
    X = mixed_history(space, 60).X
    one = np.full(len(X), np.nan)
    one[-1] = 1.0
    for name, y in (
        ("failures only", np.full(len(X), np.nan)),
        ("one result", one),
        ("equal values", np.ones(len(X))),
    ):
        n = min(4, space.size - len(X))
        got = strategy.propose(space, History.of(space, X, y), n, stream(0, name))
        assert len(got) == n, f"{name}: asked for {n} rows, got {len(got)}"


def check_asks_without_tells(strategy: Strategy, space: Space) -> None:
    """Asking again and again while nothing comes back gives different rows."""
    search = Search(space, strategy, seed=2)
    X = np.concatenate([search.ask(1) for _ in range(min(12, space.size))])
    assert len(np.unique(space.row_key(X))) == len(X), "a row was given out twice"


def check_round_size(strategy: Strategy, space: Space) -> None:
    """`round_size` is None or at least 1 at every point of a search."""
    for done in range(200):
        size = strategy.round_size(done)
        assert size is None or size >= 1, f"round_size({done}) is {size}"


def check_using_up(strategy: Strategy, space: Space) -> None:
    """A tiny space is used up to the last row, and then nothing more is proposed."""
    del space
    tiny = Tiny()
    search = Search(tiny, strategy, seed=0)
    for _ in range(tiny.size):
        X = search.ask(min(search.round_size or 5, 5))
        search.tell(X, made_up_values(tiny, X))
    assert len(search.history) == tiny.size, f"found {len(search.history)} of {tiny.size} rows"
    assert search.ask(3).shape == (0, tiny.d), "a used-up space gave another row"


CHECKS: tuple[Callable[[Strategy, Space], None], ...] = (
    check_new_rows,
    check_determinism,
    check_explanation,
    check_global_randomness,
    check_replay,
    check_hard_histories,
    check_asks_without_tells,
    check_round_size,
    check_using_up,
)
