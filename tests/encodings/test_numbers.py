from __future__ import annotations

import numpy as np
import pytest

import foretell as ft
from foretell.encodings.numbers import Numbers, magnitude, numbers_of, plan


def own(**choices):
    return ft.Space.from_choices(choices, build=print)


def column(options):
    """The feature of one decision, of each of its options."""
    space = own(one=options)
    return Numbers(space).transform(np.arange(len(options))[:, None])[:, 0]


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ([16, 32, 64], [[16, 32, 64]]),
        (["16ch", "32ch", "64ch"], [[16, 32, 64]]),
        (["conv3", "conv5"], [[3, 5]]),
        (["e3", "e4", "e6"], [[3, 4, 6]]),
        (["k3_e4", "k5_e6", "k7_e3"], [[3, 5, 7], [4, 6, 3]]),
        (["0.5x", "1.0x", "1.25x"], [[0.5, 1.0, 1.25]]),
        (["1e-3", "1e-2"], [[0.001, 0.01]]),
        ([-1, 0, 1.5], [[-1, 0, 1.5]]),
        ([np.int64(2), np.float64(3.5)], [[2, 3.5]]),
        (["conv3", "pool3"], None),  # other words
        (["conv3", "skip"], None),
        (["none", "relu"], None),
        (["007", "011"], None),  # names
        (["0001", "0012"], None),
        ([True, False], None),
        (["3", None], None),
        (["nan", "inf"], None),
        ([5], None),  # nothing to choose
    ],
)
def test_which_options_are_numbers(options, numbers):
    found = numbers_of(tuple(options))
    assert (found is None) == (numbers is None)
    if numbers is not None:
        assert np.array_equal(found, numbers)


def test_ratios_matter_where_all_are_positive():
    even = column([8, 16, 32, 64])
    assert np.allclose(np.diff(even), np.diff(even)[0])
    assert even.std() == pytest.approx(1.0, abs=1e-6)
    assert np.array_equal(even, column(["8ch", "16ch", "32ch", "64ch"]))
    assert np.array_equal(even, column([1000, 2000, 4000, 8000]))  # whatever the unit


def test_order_of_options_is_that_of_their_numbers():
    for options in ([64, 8, 16], [0, 2, 1, 8], [0.2, 0.0, 0.1], [3, -2, 0]):
        assert np.array_equal(np.argsort(column(options)), np.argsort(options))


def test_a_zero_is_not_infinitely_far():
    some = column([0, 64, 128, 256])
    assert np.isfinite(some).all()
    assert 0.5 < (some[1] - some[0]) / (some[2] - some[1]) < 2


def test_totals_of_repeated_decisions_by_hand():
    space = own(
        depth=[1, 2, 3],
        width=ft.choice([8, 16], repeat="depth"),
        kernel=ft.choice([3, 5], repeat="depth"),
    )
    X = space.from_str(["depth=2,width_0=8,width_1=16,kernel_0=3,kernel_1=5"])
    total = Numbers(space).transform(X)[0, -7:]
    by_hand = [
        *(np.log1p(24), 0.0, np.log1p(2)),  # widths: their sum, mean, and how many
        *(np.log1p(8), 0.0, np.log1p(2)),
        np.log1p(8 * 3 + 16 * 5),  # in step
    ]
    assert np.allclose(total, by_hand, atol=1e-6)
    assert plan(space).decisions[-7:] == (-1,) * 7


def test_decisions_called_alike_have_totals():
    flat = own(depth_1=[1, 2], depth_2=[1, 2, 4], width_1=["8ch", "16ch"], width_2=["24ch", "48ch"])
    F = Numbers(flat).transform([[1, 2, 0, 1], [0, 0, 0, 0]])
    assert np.allclose(F[:, 4], np.log1p([2 + 4, 1 + 1]))
    assert np.allclose(F[:, 6], np.log1p([8 + 48, 8 + 24]))
    assert np.allclose(F[:, 8], np.log1p([2 * 8 + 4 * 48, 8 + 24]))
    assert plan(flat).decisions[:4] == (0, 0, 1, 1)


def test_what_does_not_apply_is_nothing():
    space = own(op=["conv", "pool"], width=ft.choice([4, 64], when={"op": ["conv"]}))
    F = Numbers(space).transform([[0, 0], [0, 1], [1, 0], [1, 1]])[:, 0]
    assert np.allclose(F, [-1, 1, 0, 0])


@pytest.mark.parametrize("name", ["nb101", "nb201", "nb301", "nb-graph", "nb-nlp"])
def test_places_and_names_are_no_amounts(name):
    space = ft.spaces.get(name)
    assert Numbers(space).transform(space.sample(3, rng=0)).shape == (3, 0)


def test_magnitude_by_hand():
    space = own(width=ft.choice([8, 16], repeat=2), depth=[1, 3], shift=[-1, 1], op=["a", "b"])
    X = space.from_str(["width_0=8,width_1=16,depth=3,shift=1,op=b"])
    assert magnitude(space, X)[0] == pytest.approx(np.log(25) + np.log(4))
