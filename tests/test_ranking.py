"""`rank`: the true top of a space, in constant memory, whatever its size."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import foretell as ft
from foretell.errors import SettingError
from foretell.ranking import rank

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
    got = rank(SPACE, model, 50)
    everything = np.concatenate(list(SPACE.enumerate()))
    assert np.allclose(got.mean, np.sort(weighted(everything))[::-1][:50])
    assert np.array_equal(got.mean, weighted(got.X))
    assert np.array_equal(got.std, got.X[:, 0])
    assert got.n_scored == 15_625
    assert model.asked == 15_625 + 50  # the deviations of the best alone


def test_excluded_rows_stay_out():
    first = rank(SPACE, Made(weighted), 10)
    second = rank(SPACE, Made(weighted), 10, exclude=SPACE.row_key(first.X[:4]))
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
    assert len(rank(small, Made(weighted), 10, exclude=small.row_key(np.array([[1]])))) == 2


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
        rank(space, Made(weighted), 100, limit=10_000_000)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


def test_wrong_settings():
    with pytest.raises(SettingError, match="k and limit of at least 1"):
        rank(SPACE, Made(weighted), 0)
