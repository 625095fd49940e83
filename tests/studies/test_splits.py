"""Both splits: the written rule, disjoint rows, what a table is too small for."""

from __future__ import annotations

import numpy as np
import pytest

import foretell as ft
from foretell._rng import stream
from foretell.errors import SettingError
from foretell.studies._splits import KINDS, split

SPACE = ft.spaces.get("nb201")
X = np.concatenate(list(SPACE.enumerate()))
Y = (X == 3).sum(axis=1) + np.random.default_rng(0).normal(0, 0.1, len(X))


def keys(rows):
    return set(SPACE.row_key(rows).tolist())


@pytest.mark.parametrize("kind", KINDS)
def test_rows_differ_are_disjoint_and_have_their_targets(kind):
    one = split(kind, SPACE, X, Y, 150, 200, seed=1)
    test, train = keys(one.X_test), keys(one.X_train)
    assert (len(test), len(train)) == (200, 150)
    assert not test & train
    value = dict(zip(SPACE.row_key(X).tolist(), Y, strict=True))
    for rows, y in ((one.X_test, one.y_test), (one.X_train, one.y_train)):
        assert [value[k] for k in SPACE.row_key(rows).tolist()] == y.tolist()
    again = split(kind, SPACE, X, Y, 150, 200, seed=1)
    assert all((a == b).all() for a, b in zip(one, again, strict=True))
    other = split(kind, SPACE, X, Y, 150, 200, seed=2)
    assert keys(other.X_test) != test


def test_mutants_lie_near_good_rows():
    one = split("mutation", SPACE, X, Y, 150, 200, seed=0)
    # a mutation changes one of six edges: training rows have a test row one edge away
    distance = (one.X_train[:, None] != one.X_test[None]).sum(axis=2)
    assert (distance.min(axis=1) == 1).all()
    # and test rows lie one, two or three edges from one of the best 5 of 10 random rows
    drawn = stream(0, "split").permutation(len(X))[:10]
    parents = X[drawn[np.argsort(-Y[drawn])][:5]]
    nearest = (one.X_test[:, None] != parents[None]).sum(axis=2).min(axis=1)
    assert set(nearest.tolist()) - {0} == {1, 2, 3}
    assert one.y_test.mean() > Y.mean() + 0.3


def test_a_table_of_a_part_of_the_space_widens_and_says_when_it_cannot():
    part = np.sort(np.random.default_rng(3).permutation(len(X))[:3000])
    one = split("mutation", SPACE, X[part], Y[part], 400, 200, seed=0)
    assert keys(one.X_train) | keys(one.X_test) <= keys(X[part])
    assert not keys(one.X_train) & keys(one.X_test)
    alone = np.array([[0] * 6, [3] * 6, *([k] * 6 for k in (1, 2, 4))])
    with pytest.raises(SettingError, match="mutants that the table holds"):
        split("mutation", SPACE, alone, np.arange(5.0), 1, 4, seed=0)
