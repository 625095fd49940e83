from __future__ import annotations

import gc

import numpy as np
import pytest

import foretell as ft
from foretell import encodings
from foretell.encodings.base import Encoding
from foretell.encodings.graph_stats import GraphStats
from foretell.encodings.onehot import OneHot
from foretell.encodings.parts import kept as module
from foretell.encodings.parts.kept import kept


def make():
    choices = {f"d{i}": [1, 2, 3, 4] for i in range(6)}
    return ft.Space.from_choices(choices, build=lambda decisions, shape, n: None)


@pytest.fixture
def space():
    return make()


@pytest.fixture
def asked(monkeypatch):
    """Rows that encodings were asked for, in order."""
    seen = []
    for kind in (GraphStats, OneHot):
        encode = kind.encode

        def counted(self, X, encode=encode):
            seen.append(len(X))
            return encode(self, X)

        monkeypatch.setattr(kind, "encode", counted)
    return seen


def test_what_was_asked_for_twice_is_kept_and_is_what_encode_gives(space, asked):
    X = space.sample(1500, rng=0)
    for _ in range(4):
        found = kept(encodings.get("graph-stats", space), X)  # another object each time
    assert asked == [1500, 1500]
    np.testing.assert_array_equal(found, encodings.get("graph-stats", space).encode(X.copy()))
    with pytest.raises(ValueError, match="read-only"):
        found[0, 0] = 1.0


def test_other_rows_settings_and_spaces_are_told_apart(space):
    X = space.sample(1500, rng=0)
    other = X.copy()
    other[7] = (other[7] + 1) % 4
    twin = make()
    for _ in range(3):
        for rows in (X, other, X[::-1]):
            for one in (space, twin):
                for encoding in (
                    encodings.get("path", one),
                    encodings.get("path", one, max_paths=3),
                    encodings.get("graph-stats", one),
                ):
                    np.testing.assert_array_equal(kept(encoding, rows), encoding.encode(rows))


def test_few_rows_and_what_is_no_pure_function_are_asked_for_anew(space, asked):
    for _ in range(3):
        kept(encodings.get("graph-stats", space), space.sample(1000, rng=0))
        kept(encodings.get("one-hot", space), space.sample(1500, rng=0))
    assert asked == [1000, 1500] * 3


def test_settings_that_cannot_be_compared_are_no_key(space):
    class Weighted(Encoding):
        pure = True

        def __init__(self, space, weights):
            self.space = space
            self.weights = weights

        def encode(self, X):
            return (X[:, :1] * self.weights).astype(np.float32)

    X = space.sample(1500, rng=0)
    for scale in (1.0, 2.0):
        weights = np.full(5000, scale)
        weights[2500] = 7.0 * scale  # which numpy does not print
        for _ in range(3):
            found = kept(Weighted(space, weights), X)
        np.testing.assert_array_equal(found, Weighted(space, weights).encode(X))


def test_memory_has_a_bound_and_goes_with_the_space(space, monkeypatch):
    encoding = encodings.get("graph-stats", space)
    X = space.sample(1100, rng=0)
    monkeypatch.setattr(module, "_BYTES", int(2.5 * encoding.encode(X).nbytes))
    for seed in (0, 1, 2, 3) * 3:
        kept(encoding, space.sample(1100, rng=seed))
    known = module._OF[space]
    assert len(known.features) == 2
    assert known.bytes == sum(found.nbytes for found in known.features.values())
    before = len(module._OF)
    del encoding, space, known
    gc.collect()
    assert len(module._OF) <= before


def test_a_process_says_the_same_of_rows_that_are_kept():
    space = ft.spaces.get("nb201")
    X = np.concatenate(list(space.enumerate()))[:5000]
    y = (X == 3).sum(axis=1) + 0.1 * X[:, 0]
    model = ft.predictors.get("gp", space=space, random_state=0).fit(X[::100], y[::100])
    first = model.predict(X, return_std=True)
    for _ in range(3):
        again = model.predict(X, return_std=True)
        np.testing.assert_array_equal(first, again)
    one_by_one = np.concatenate([model.predict(X[i : i + 500]) for i in range(0, 5000, 500)])
    np.testing.assert_allclose(first[0], one_by_one, rtol=1e-9)
