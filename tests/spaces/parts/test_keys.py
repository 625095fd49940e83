"""Remembered keys: the same as computed ones, asked once, and never more than there is room for."""

from __future__ import annotations

import numpy as np
import pytest

import foretell as ft
from foretell.graphs.refinement import class_key
from foretell.spaces.parts import keys
from foretell.spaces.parts.keys import remembered


class Owner:
    """Has a memory of its own."""


def counted(asked):
    def key(X):
        asked.append(len(X))
        return X[:, 0].astype(np.uint64) ** np.uint64(2)

    return key


def row_key(X):
    return X[:, 0].astype(np.uint64)


def test_what_is_known_is_not_asked_again():
    owner, asked = Owner(), []
    X = np.array([[3], [5], [3], [9]])
    for rows in (X, X[::-1], X[1:2], np.array([[4], [5]]), X[:0]):
        got = remembered(owner, rows, row_key, counted(asked))
        assert got.tolist() == (rows[:, 0] ** 2).tolist()
    assert asked == [3, 1]


def test_owners_do_not_share():
    asked = []
    first, second = Owner(), Owner()
    for owner in (first, second):
        remembered(owner, np.array([[7]]), row_key, counted(asked))
    assert asked == [1, 1]


def test_there_is_an_end_to_what_is_kept(monkeypatch):
    monkeypatch.setattr(keys, "_KEPT", 8)
    owner, asked = Owner(), []
    for start in range(0, 20, 2):
        rows = np.arange(start, start + 2)[:, None]
        assert (
            remembered(owner, rows, row_key, counted(asked)).tolist() == (rows[:, 0] ** 2).tolist()
        )
        assert len(keys._memory[owner][0]) <= 8
    many = np.arange(10)[:, None]  # more at once than are kept
    remembered(owner, many, row_key, counted(asked))
    assert asked[-1] == 10


@pytest.mark.parametrize("name", ["nb301", "nb-nlp"])
def test_spaces_give_the_keys_of_their_graphs(name):
    space = ft.spaces.get(name)
    X = space.sample(60, rng=0)
    exact = class_key(space.graphs(X))
    for _ in range(2):
        assert np.array_equal(space.canonical(X), exact)
