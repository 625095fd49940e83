"""`rank`: the true top of a space, in constant memory, whatever its size."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import foretell as ft
from foretell.errors import SettingError, SpaceError
from foretell.pareto import fronts, nondominated
from foretell.search import ranking
from foretell.search.ranking import rank

SPACE = ft.spaces.get("nb201")


class Made:
    """A predictor made of a function, that counts what it is asked."""

    def __init__(self, score, std=None):
        self.score, self.std, self.asked = score, std, 0
        self.has_std = std is not None

    def predict(self, X, return_std=False):
        self.asked += len(X)
        mean = self.score(X.astype(float))
        return (mean, self.std(X.astype(float))) if return_std else mean


def weighted(X):
    return X @ (7.0 ** np.arange(X.shape[1]) % 5.3)


def test_top_is_that_of_a_full_sort():
    model = Made(weighted, std=lambda X: X[:, 0])
    got = rank(SPACE, model, 50, repeats=True)
    everything = np.concatenate(list(SPACE.enumerate()))
    assert np.allclose(got.mean, np.sort(weighted(everything))[::-1][:50])
    assert np.array_equal(got.mean, weighted(got.X))
    assert np.array_equal(got.std, got.X[:, 0])
    assert got.n_scored == 15_625
    assert model.asked == 15_625 + 50  # the deviations of the best alone


@pytest.mark.parametrize("minimize", [(), ("params",)])
@pytest.mark.parametrize("block", [500, 65_536])
def test_each_function_once_in_its_best_spelling(monkeypatch, block, minimize):
    everything = np.concatenate(list(SPACE.enumerate()))
    keys, mean = SPACE.canonical(everything).tolist(), weighted(everything).tolist()
    best = {}
    for key, value in zip(keys, mean, strict=True):
        best[key] = max(value, best.get(key, -np.inf))
    known = everything[np.argsort(mean)[-5:]]
    for key in SPACE.canonical(known).tolist():
        best.pop(key, None)
    blocks = list(SPACE.enumerate(block))
    monkeypatch.setattr(SPACE, "enumerate", lambda: iter(blocks))
    got = rank(SPACE, Made(weighted), 300, exclude=known, minimize=minimize)
    functions = SPACE.canonical(got.X).tolist()
    assert len(set(functions)) == 300
    assert np.allclose(got.mean, [best[key] for key in functions])
    if not minimize:
        assert np.allclose(got.mean, sorted(best.values(), reverse=True)[:300])


def test_excluded_rows_stay_out():
    first = rank(SPACE, Made(weighted), 10)
    second = rank(SPACE, Made(weighted), 10, exclude=first.X[:4])
    assert np.array_equal(second.mean[:6], first.mean[4:])
    assert second.std is None


def test_ties_do_not_depend_on_the_order_of_enumeration(monkeypatch):
    got = rank(SPACE, Made(lambda X: X[:, 0]), 20)
    blocks = list(SPACE.enumerate(1000))[::-1]
    monkeypatch.setattr(SPACE, "enumerate", lambda: iter(blocks))
    again = rank(SPACE, Made(lambda X: X[:, 0]), 20)
    assert np.array_equal(got.X, again.X)
    assert len({tuple(x[:4]) for x in got.X.tolist()}) > 5  # not one corner of the space


def test_nan_is_worst():
    got = rank(SPACE, Made(lambda X: np.where(X[:, 0] == 4, np.nan, X.sum(axis=1))), 5)
    assert (got.X[:, 0] < 4).all()
    assert got.mean[0] == 23


def test_more_than_there_are():
    small = ft.Space.from_choices({"a": [1, 2, 3]}, build=print)
    assert len(rank(small, Made(weighted), 10)) == 3
    assert len(rank(small, Made(weighted), 10, exclude=np.array([[1]]))) == 2
    model = Made(weighted, std=lambda X: 1 / len(X) + X[:, 0])
    nothing = rank(small, model, 10, exclude=np.array([[0], [1], [2]]))
    assert len(nothing) == len(nothing.std) == 0


def test_a_hundred_million_rows_and_more():
    space = ft.Space.from_choices({f"c{i}": list(range(8)) for i in range(18)}, build=print)
    assert space.size > 10**16
    one, two = (rank(space, Made(weighted), 40, rng=3, limit=50_000) for _ in range(2))
    assert np.array_equal(one.X, two.X)
    assert len(np.unique(space.row_key(one.X))) == 40
    assert one.n_scored >= 50_000
    # what random rows alone reach is far below what local improvement makes of them
    sampled = np.sort(weighted(space.sample(50_000, rng=5).astype(float)))[::-1]
    assert one.mean[-1] > sampled[0]


def test_local_improvement_finds_the_top_of_a_smooth_function():
    space = ft.Space.from_choices({f"c{i}": list(range(4)) for i in range(12)}, build=print)
    got = rank(space, Made(lambda X: X.sum(axis=1)), 5, rng=0, limit=1_000)
    assert got.mean[0] == 36  # every decision at its best


@pytest.mark.slow
def test_memory_does_not_grow_with_the_space():
    peaks = []
    for columns in (6, 7):  # 0.5 and 4 million rows, all enumerated
        space = ft.Space.from_choices(
            {f"c{i}": list(range(9)) for i in range(columns)}, build=print
        )
        tracemalloc.start()
        rank(space, Made(weighted), 100, limit=None)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


def test_wrong_settings():
    with pytest.raises(SettingError, match="k and limit of at least 1"):
        rank(SPACE, Made(weighted), 0)


class Uncounted(ft.Space):
    """Its own condition, and no count."""

    p, q, r, s = (ft.choice(list(range(12))) for _ in range(4))

    def valid(self, X):
        return X[:, 0] != X[:, 1]

    @property
    def size(self):
        raise SpaceError("too large to count")


def test_every_row_of_a_space_that_cannot_be_counted():
    space = Uncounted()
    got = rank(space, Made(weighted), 30, limit=None)
    everything = np.concatenate(list(space.enumerate())).astype(float)
    assert got.n_scored == len(everything) == 12 * 11 * 12 * 12
    assert np.array_equal(got.mean, np.sort(weighted(everything))[::-1][:30])
    assert rank(space, Made(weighted), 30, rng=0, limit=100).n_scored < len(everything)


def test_keys_are_computed_for_few_rows(monkeypatch):
    keyed = []
    whole = type(SPACE).row_key
    monkeypatch.setattr(
        type(SPACE), "row_key", lambda self, X: keyed.append(len(X)) or whole(self, X)
    )
    model = Made(lambda X: X @ np.random.default_rng(0).normal(size=6))
    monkeypatch.setattr(ranking, "_BLOCK", 512)
    rank(SPACE, model, 20)
    assert sum(keyed) < 0.15 * model.asked


class Screened(ft.Space):
    """Limits that cost something to know: one row in `one_in` is within them."""

    p, q, r, s = (ft.choice(list(range(9))) for _ in range(4))
    one_in, asked = 3, 0

    @property
    def loose(self):
        return Plain()

    def within(self, X):
        self.asked += len(X)
        return X.sum(axis=1, dtype=np.int64) * 7 % self.one_in == 0


class Plain(Screened):
    @property
    def loose(self):
        return self


@pytest.mark.parametrize("one_in", [1, 3, 30])
def test_costly_limits_are_asked_of_the_best_alone(one_in, monkeypatch):
    space = Screened()
    space.one_in = one_in
    monkeypatch.setattr(ranking, "_BLOCK", 256)
    model = Made(lambda X: X @ [1.0, 0.31, 0.57, 0.123])
    got = rank(space, model, 10)
    everything = np.concatenate(list(space.enumerate()))
    inside = everything[everything.sum(axis=1, dtype=np.int64) * 7 % one_in == 0].astype(float)
    assert np.array_equal(got.mean, np.sort(model.score(inside))[::-1][:10])
    # best first, those above the tenth one within and what the last look at ten has beside it
    assert space.asked <= (model.score(everything) >= got.mean[-1]).sum() + 10


def test_fewer_rows_within_costly_limits_than_asked_for():
    space = Screened()
    space.one_in = 200  # no sum but 0 is a multiple of it
    got = rank(space, Made(weighted), 10)
    assert got.X.tolist() == [[0, 0, 0, 0]]


def convolved(X):
    return weighted(X == 3) + 0.7 * weighted(X == 2) + 0.01 * weighted(X)


def objectives(X):
    return np.column_stack([convolved(X.astype(float)), -SPACE.measure(X, ["params"])])


def test_compromises_with_a_cost(monkeypatch):
    monkeypatch.setattr(ranking, "_BLOCK", 300)  # many blocks
    everything = np.concatenate(list(SPACE.enumerate()))
    front = everything[nondominated(objectives(everything))]
    assert len(front) > 10
    k = 2 * len(front)
    got = rank(SPACE, Made(convolved), k, minimize=["params"])
    assert got.minimize == ("params",)
    assert np.array_equal(got.costs, SPACE.measure(got.X, ["params"]))
    assert np.array_equal(got.mean, convolved(got.X.astype(float)))
    # the whole front comes first, and what follows is in the order of its fronts
    assert set(SPACE.row_key(got.X[: len(front)])) == set(SPACE.row_key(front))
    assert (np.diff(fronts(objectives(got.X))) >= 0).all()
    # a few of the front reach from one end of it to the other
    few = rank(SPACE, Made(convolved), 6, minimize=["params"])
    assert set(SPACE.row_key(few.X)) <= set(SPACE.row_key(front))
    assert np.array_equal(objectives(few.X).max(axis=0), objectives(front).max(axis=0))
    assert np.array_equal(objectives(few.X).min(axis=0), objectives(front).min(axis=0))


def test_three_objectives_and_unknown_values(monkeypatch):
    monkeypatch.setattr(ranking, "_BLOCK", 2_000)
    names = ("params", "flops")

    def score(X):
        return np.where(X[:, 0] == 1, np.nan, weighted(X))

    got = rank(SPACE, Made(score), 200, minimize=names)
    assert (got.X[:, 0] != 1).all()
    assert got.costs.shape == (200, 2)
    everything = np.concatenate(list(SPACE.enumerate()))
    everything = everything[everything[:, 0] != 1]
    F = np.column_stack([score(everything.astype(float)), -SPACE.measure(everything, names)])
    front = SPACE.row_key(everything[nondominated(F)])
    assert len(front) < 200
    assert set(front) <= set(SPACE.row_key(got.X))


def test_costs_found_another_way():
    got = rank(SPACE, Made(weighted), 5, minimize=["ms"], measure=lambda X: X[:, :1] + 1.0)
    assert got.costs[:, 0].tolist() == (got.X[:, 0] + 1.0).tolist()
    assert got.costs.min() == 1.0
