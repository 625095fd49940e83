"""What every search strategy promises, as checks that anyone can run on an own one.

>>> import foretell as ft
>>> check_strategy(ft.strategies.get("random"), ft.spaces.get("nb201"))
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foretell._rng import stream
from foretell.search.asktell import Search
from foretell.search.history import History
from foretell.search.strategy import Strategy
from foretell.spaces.base import Costs, Rows, Space, choice
from foretell.testing._globals import global_states

MAX_EPOCHS = 4  # of a whole training in these checks
_WHOLE = 27  # of one where early values are of use


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
    epochs = 1 + np.arange(len(X)) % MAX_EPOCHS
    told = History.of(space, X[:-2], y[:-2], epochs=epochs[:-2], asks=0, max_epochs=MAX_EPOCHS)
    return told.with_pending(X[-2:], epochs[-2:])


def check_new_rows(strategy: Strategy, space: Space) -> None:
    """Proposals are rows of the space (within its limits), different, as many as asked.

    New rows have no record; a known one is to be trained on, to more epochs than it has.
    """
    for size in (0, 1, 12, 40):
        history = mixed_history(space, size) if size else History.empty(space, MAX_EPOCHS)
        for n in (1, 7):
            n = min(n, space.size - len(history))
            proposal = strategy.propose(space, history, n, stream(0, "new", size))
            X, epochs = proposal.X, proposal.epochs
            waits = len(X) < n and _may_wait(strategy)
            assert waits or X.shape == (n, space.d), f"asked for {n} rows, got shape {X.shape}"
            assert bool(space.contains(X).all()), "a proposed row is not of the space"
            keys = space.row_key(X)
            assert len(np.unique(keys)) == len(X), "a row was proposed twice"
            if epochs is not None:
                assert epochs.shape == (len(X),), f"{len(X)} rows, epochs of shape {epochs.shape}"
                assert ((epochs >= 1) & (epochs <= MAX_EPOCHS)).all(), "epochs out of range"
            known = history.latest
            far = dict(zip(space.row_key(known.X).tolist(), known.epochs.tolist(), strict=True))
            wanted = [0] * len(X) if epochs is None else epochs.tolist()
            again = [i for i, key in enumerate(keys.tolist()) if key in far]
            assert all(wanted[i] > far[int(keys[i])] for i in again), "a known row was proposed"


def _may_wait(strategy: Strategy) -> bool:
    """Whether it has several fidelities: then fewer rows than asked may mean to wait."""
    return type(strategy).promotions is not Strategy.promotions


def check_promotions(strategy: Strategy, space: Space) -> None:
    """`promotions` are rows with a result, and `propose` begins with them."""
    history = mixed_history(space, 40).told
    due = strategy.promotions(history)
    if due is None:
        return
    assert due.epochs is not None, "a promotion does not say how far"
    assert len(due.X), "promotions of no row: None is how to say it"
    assert np.isin(space.row_key(due.X), space.row_key(history.ok.X)).all(), "promotes no result"
    first = strategy.propose(space, history, len(due.X), stream(0, "due"))
    assert np.array_equal(first.X, due.X), "propose does not begin with the promotions"
    assert first.epochs is not None, "propose does not say how far a promotion goes"
    assert np.array_equal(first.epochs, due.epochs), "propose trains them to other epochs"


def check_determinism(strategy: Strategy, space: Space) -> None:
    """Equal history and equal generator give equal rows; the history is left as it was."""
    history = mixed_history(space, 40)
    before = copy.deepcopy(history)
    first, second = (strategy.propose(space, history, 5, stream(0, "same")) for _ in range(2))
    assert np.array_equal(first.X, second.X), "equal history and generator gave different rows"
    for name in ("X", "y", "status", "seconds", "epochs", "ended_s", "ids", "asks"):
        old, new = getattr(before, name), getattr(history, name)
        assert np.array_equal(old, new, equal_nan=True), "propose changed the history"


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
    first, second = (Search(space, strategy, seed=1, max_epochs=MAX_EPOCHS) for _ in range(2))
    for k in range(4):
        X, epochs = first.ask_epochs(min(6, space.size // 8))
        values = made_up_values(space, X)
        values[k % 2 :: 3] = np.nan
        second.replay(X, epochs)
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
        history = History.of(space, X, y, max_epochs=MAX_EPOCHS)
        got = strategy.propose(space, history, n, stream(0, name)).X
        assert len(got) == n, f"{name}: asked for {n} rows, got {len(got)}"


def check_asks_without_tells(strategy: Strategy, space: Space) -> None:
    """Asking again and again while nothing comes back gives different rows."""
    search = Search(space, strategy, seed=2, max_epochs=MAX_EPOCHS)
    X = np.concatenate([search.ask(1) for _ in range(min(12, space.size))])
    assert len(np.unique(space.row_key(X))) == len(X), "a row was given out twice"


def check_round_size(strategy: Strategy, space: Space) -> None:
    """`round_size` is None or at least 1 at every point of a search."""
    for done in range(0, 200, 5):
        X = space.sample(done, stream(0, "round", done))
        told = History.of(space, X, made_up_values(space, X), max_epochs=MAX_EPOCHS)
        size = strategy.round_size(told)
        assert size is None or size >= 1, f"round_size after {done} results is {size}"


def check_using_up(strategy: Strategy, space: Space) -> None:
    """A tiny space is used up to the last row, and then nothing more is proposed."""
    del space
    tiny = Tiny()
    search = Search(tiny, strategy, seed=0, max_epochs=MAX_EPOCHS)
    for _ in range(MAX_EPOCHS * tiny.size):
        X = search.ask(min(search.round_size or 5, 5))
        search.tell(X, made_up_values(tiny, X))
    assert search.n_rows == tiny.size, f"found {search.n_rows} of {tiny.size} rows"
    assert search.ask(3).shape == (0, tiny.d), "a used-up space gave another row"


def check_better_than_random(
    strategy: Strategy, space: Space, networks: int = 80, seeds: int = 2
) -> None:
    """On values that follow from the decisions one by one it does better than random search.

    A search may spend as many epochs as `networks` whole trainings have. Of all networks that it
    has trained to the end, the later half must be better than random ones by half of their standard
    deviation, on average; and the best must not be worse than the best of `networks` random ones by
    a quarter of it. A whole training has 27 epochs; after fewer a value is lower by the share of
    those that are missing, for all alike.

    Args:
        strategy: any that is told values; not for baselines, which ignore them.
        space: where `made_up_values` differ, of many more rows than `networks`.
        networks: whole trainings.
        seeds: searches.
    """
    everything = made_up_values(space, space.sample(2_000, stream(0, "all rows")))
    centre, scale = float(everything.mean()), float(everything.std())
    later, best, by_chance = [], [], []
    for seed in range(seeds):
        told = _searched(strategy, space, networks, seed)
        values = (told.full.y - centre) / scale
        assert len(values), "no network is trained to the end"
        later.append(float(values[len(values) // 2 :].mean()))
        best.append(float(values.max()))
        X = space.sample(networks, stream(seed, "by chance"))
        by_chance.append(float((made_up_values(space, X).max() - centre) / scale))
    assert np.mean(later) >= 0.5, (
        f"no better than random: what it trains later is {np.mean(later):+.2f} standard deviations "
        "from the mean of the space"
    )
    assert np.mean(best) >= np.mean(by_chance) - 0.25, (
        f"no better than random: its best is {np.mean(best):.2f} standard deviations above the "
        f"mean of the space, the best of {networks} random ones {np.mean(by_chance):.2f}"
    )


def _searched(strategy: Strategy, space: Space, networks: int, seed: int) -> History:
    """What a search knows that has spent so many whole trainings."""
    search = Search(space, strategy, seed=seed, max_epochs=_WHOLE)
    spent, left = 0, networks * _WHOLE
    reached: dict[int, int] = {}
    while spent < left:
        X, epochs = search.ask_epochs(max(search.due, min(search.round_size or 10, 10)))
        if not len(X):
            break
        for key, e in zip(space.row_key(X).tolist(), epochs.tolist(), strict=True):
            spent += e - reached.get(key, 0)
            reached[key] = e
        missing = 1 - epochs / _WHOLE
        search.tell(X, made_up_values(space, X) - missing, epochs=epochs)
    return search.history.told


CHECKS: tuple[Callable[[Strategy, Space], None], ...] = (
    check_new_rows,
    check_determinism,
    check_promotions,
    check_global_randomness,
    check_replay,
    check_hard_histories,
    check_asks_without_tells,
    check_round_size,
    check_using_up,
)
