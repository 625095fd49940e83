from __future__ import annotations

import numpy as np

import foretell as ft
from foretell.encodings.options import Options


def test_bits_are_those_of_one_hot_where_no_number_has_many():
    space = ft.spaces.get("nb201")
    X = space.sample(20, rng=0)
    bits = ft.encodings.get("one-hot", space).transform(X)
    assert np.array_equal(Options(space).transform(X), bits)


def test_counts_of_what_applies():
    space = ft.Space.from_choices(
        {"depth": [1, 2, 3], "op": ft.choice(["a", "b"], repeat="depth")}, build=print
    )
    X = space.from_str(["depth=2,op_0=b,op_1=b", "depth=1,op_0=a"])
    F = Options(space).transform(X)
    assert np.array_equal(F[:, -2:], [[0, 2], [1, 0]])
    assert not F[1, 5:9].any()  # op_1 and op_2


def test_numbers_with_many_options_are_left_out():
    space = ft.Space.from_choices(
        {"width": range(8, 40), "name": list("abcdefghijklmnopqrst")}, build=print
    )
    assert Options(space).transform(space.sample(4, rng=0)).shape == (4, 20)
