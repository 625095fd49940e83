"""Fronts, crowding and hypervolume against brute force and against sums that are known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from foretell.errors import DataError
from foretell.pareto import best, crowding, fronts, hypervolume, nondominated

# few different values, so that rows are equal, and equal in one objective, often
MATRICES = st.integers(1, 4).flatmap(
    lambda m: arrays(
        np.float64,
        st.tuples(st.integers(0, 25), st.just(m)),
        elements=st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 1.0, 2.0, 2.0 + 1e-12]),
    )
)


def dominators(F):
    """`[i, j]`: row j dominates row i, by the definition."""
    at_least = (F[None] >= F[:, None]).all(axis=2)
    return at_least & (F[None] > F[:, None]).any(axis=2)


def fronts_by_peeling(F):
    by, front = dominators(F), np.full(len(F), -1)
    for number in range(len(F)):
        left = front < 0
        front[left & ~by[:, left].any(axis=1)] = number
    return front


def volume_by_inclusion_and_exclusion(F, reference):
    F = np.maximum(F - reference, 0.0)
    return sum(
        (-1) ** (size + 1) * np.prod(F[list(some)].min(axis=0))
        for size in range(1, len(F) + 1)
        for some in itertools.combinations(range(len(F)), size)
    )


@given(MATRICES)
@settings(deadline=None, max_examples=150)
def test_fronts_are_those_of_the_definition(F):
    expected = fronts_by_peeling(F)
    assert fronts(F).tolist() == expected.tolist()
    assert nondominated(F).tolist() == (expected == 0).tolist()


@pytest.mark.parametrize("m", [2, 3, 4])
def test_fronts_of_many_random_rows(m):
    F = np.random.default_rng(m).normal(size=(700, m))
    assert fronts(F).tolist() == fronts_by_peeling(F).tolist()


@pytest.mark.parametrize("m", [1, 2, 3])
def test_a_row_with_nan_is_worse_than_every_other(m):
    F = np.random.default_rng(0).normal(size=(40, m))
    F[7, 0] = F[9, m - 1] = np.nan
    front = fronts(F)
    assert front[7] == front[9] == front.max() > np.delete(front, [7, 9]).max()
    assert not nondominated(F)[[7, 9]].any()
    assert set(best(F, 40)[-2:].tolist()) == {7, 9}
    assert np.isfinite(hypervolume(F, np.full(m, -9.0)))


def test_a_small_difference_is_not_lost_in_large_numbers():
    # as floats the sums of both rows are equal
    F = np.array([[1e17, 0.0, 1.0], [1e17, 0.0, 2.0]])
    assert fronts(F).tolist() == [1, 0]


def test_crowding_by_the_algorithm_of_the_paper():
    rng = np.random.default_rng(1)
    F, front = rng.normal(size=(60, 3)), rng.integers(0, 5, size=60)
    expected = np.zeros(60)
    for number in range(5):
        members = np.flatnonzero(front == number)
        for m in range(3):
            order = members[np.argsort(F[members, m])]
            expected[order[[0, -1]]] = np.inf
            span = F[order[-1], m] - F[order[0], m]
            for before, i, after in zip(order, order[1:], order[2:], strict=False):
                expected[i] += (F[after, m] - F[before, m]) / span
    assert np.allclose(crowding(F, front), expected)


def test_crowding_where_nothing_varies():
    got = crowding([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0], [3.0, 5.0]])
    assert np.isinf(got[[0, 3]]).all()
    assert got[2] == 0.5  # to 2 and to its equal, of a range of 2
    assert crowding(np.zeros((0, 2))).shape == (0,)


def test_selection_takes_whole_fronts_and_then_the_lonely():
    F = np.random.default_rng(2).normal(size=(300, 2))
    front = fronts(F)
    order = best(F, 300)
    assert sorted(order.tolist()) == list(range(300))
    assert (np.diff(front[order]) >= 0).all()
    lonely = crowding(F, front)[order]
    with np.errstate(invalid="ignore"):
        within = np.diff(front[order]) == 0
        assert (lonely[1:][within] <= lonely[:-1][within]).all()
    for k in (0, 1, 5, 70, 299):  # the first k of the whole order
        assert best(F, k).tolist() == order[:k].tolist()
    three = np.random.default_rng(3).normal(size=(300, 3))
    assert best(three, 40).tolist() == best(three, 300)[:40].tolist()
    assert best(F, 1000).tolist() == order.tolist()


def test_one_objective_is_a_sort():
    F = np.random.default_rng(4).integers(0, 9, size=(50, 1))
    assert best(F, 50).tolist() != list(range(50))
    assert F[best(F, 50), 0].tolist() == sorted(F[:, 0].tolist(), reverse=True)


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_hypervolume_by_inclusion_and_exclusion(m):
    rng = np.random.default_rng(m)
    for _ in range(10):
        F, reference = rng.integers(0, 6, size=(9, m)).astype(float), np.full(m, 1.0)
        expected = volume_by_inclusion_and_exclusion(F, reference)
        assert hypervolume(F, reference) == pytest.approx(expected, rel=1e-12)


def test_hypervolume_of_a_simplex_and_of_nothing():
    # points on x + y + z = 1 (grid of q): the volume below them tends to 1/6 from below
    q = 30
    grid = np.array([(i, j, q - i - j) for i in range(q + 1) for j in range(q + 1 - i)]) / q
    # unit cubes that some point dominates: i + j + l <= q with i, j, l from 1
    cubes = q * (q - 1) * (q - 2) / 6
    assert hypervolume(grid, [0, 0, 0]) == pytest.approx(cubes / q**3)
    assert hypervolume(np.zeros((0, 2)), [0, 0]) == 0.0
    assert hypervolume([[1, 0], [-1, 3]], [0, 0]) == 0.0


def test_wrong_shapes():
    for f in (nondominated, fronts, crowding):
        with pytest.raises(DataError, match=r"objectives F: expected one row each"):
            f([1.0, 2.0])
    with pytest.raises(DataError, match="reference: expected 2 finite numbers"):
        hypervolume([[1.0, 2.0]], [0.0])
    with pytest.raises(DataError, match="front: expected shape"):
        crowding([[1.0, 2.0]], [0, 1])
