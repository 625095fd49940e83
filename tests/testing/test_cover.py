from __future__ import annotations

import pytest

import foretell as ft
from foretell.testing.cover import cover


@pytest.mark.parametrize("name", ft.spaces.names())
def test_few_rows_have_what_thousands_have(name):
    space = ft.spaces.get(name)
    few, many = cover(space), space.sample(3000, rng=1)
    assert space.contains(few).all()
    assert len(few) <= max(12, *space.n_options, sum(space.n_options) / 10)
    assert ops_of(space, many) <= ops_of(space, few)
    for j in range(space.d):
        taken = [set(X[space.active(X)[:, j], j].tolist()) for X in (few, many)]
        assert taken[1] <= taken[0], space.choices[j].name


def ops_of(space, X):
    return set(space.graphs(X).ops.ravel().tolist()) - {-1}  # not there


def test_conditional_options_count_only_where_they_apply():
    space = ft.Space.from_choices(
        {"op": ["pool", "conv"], "kernel": ft.choice([3, 5], when={"op": ["conv"]})},
        build=lambda decisions, shape, n_outputs: None,
    )
    assert cover(space).tolist() in ([[1, 0], [0, 0], [1, 1]], [[1, 0], [1, 1], [0, 0]])
