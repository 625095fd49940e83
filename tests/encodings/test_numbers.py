from __future__ import annotations

from fractions import Fraction

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
        (["k3e4", "k5e6", "k7e3"], [[3, 5, 7], [4, 6, 3]]),  # no powers of ten
        (["lr1e-3", "lr3e-4"], [[0.001, 0.0003]]),
        (["1/4", "1/2", "1"], [[0.25, 0.5, 1]]),
        ([Fraction(1, 3), Fraction(2, 3)], [[1 / 3, 2 / 3]]),
        (["8/16", "16/32"], [[8, 16], [16, 32]]),  # no ratios, which would be equal
        ([".25x", ".5x", "1x"], [[0.25, 0.5, 1]]),
        (["16 ch", " 32 ch"], [[16, 32]]),
        (["25%", "50%", "100%"], [[25, 50, 100]]),
        ([(1, 8), (2, 4)], [[1, 2], [8, 4]]),
        (["0.5x", "1.0x", "1.25x"], [[0.5, 1.0, 1.25]]),
        (["1e-3", "1e-2"], [[0.001, 0.01]]),
        ([-1, 0, 1.5], [[-1, 0, 1.5]]),
        ([np.int64(2), np.float64(3.5)], [[2, 3.5]]),
        (["conv3", "pool3"], None),  # other words
        (["conv3", "skip"], None),
        (["none", "relu"], None),
        (["007", "011"], None),  # names
        (["0001", "0012"], None),
        (["1/0", "2/0"], [[1, 2], [0, 0]]),
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
    total = Numbers(space).transform(X)[0, -9:]
    by_hand = [
        *(np.log1p(24), 0.0, np.log1p(2), np.log1p(8 * 16)),  # sum, mean, how many, in turn
        *(np.log1p(8), 0.0, np.log1p(2), np.log1p(3 * 5)),
        np.log1p(8 * 3 + 16 * 5),  # in step
    ]
    assert np.allclose(total, by_hand, atol=1e-6)
    assert plan(space).decisions[-9:] == (-1,) * 9


def test_decisions_called_alike_have_totals():
    flat = own(depth_1=[1, 2], depth_2=[1, 2, 4], width_1=["8ch", "16ch"], width_2=["24ch", "48ch"])
    F = Numbers(flat).transform([[1, 2, 0, 1], [0, 0, 0, 0]])
    assert np.allclose(F[:, 4], np.log1p([2 + 4, 1 + 1]))
    assert np.allclose(F[:, 6], np.log1p([2 * 4, 1 * 1]))
    assert np.allclose(F[:, 7], np.log1p([8 + 48, 8 + 24]))
    assert np.allclose(F[:, 10], np.log1p([2 * 8 + 4 * 48, 8 + 24]))
    assert plan(flat).decisions[:4] == (0, 0, 1, 1)


def test_products_are_weights_of_layers():
    """A chain of dense layers, and layers of one width with inner widths, up to what is first."""
    chain = own(depth=[1, 2, 3], width=ft.choice([4, 16, 64], repeat="depth"))
    X = chain.sample(30, rng=0)
    W = np.where(chain.active(X)[:, 1:], 4.0 ** (X[:, 1:] + 1), 0.0)
    F = Numbers(chain).transform(X)
    assert np.allclose(F[:, -1], np.log1p((W[:, 1:] * W[:, :-1]).sum(axis=1)), atol=1e-6)
    blocks = own(
        dim=[8, 16], depth=[1, 2], inner=ft.choice([16, 64], repeat="depth"), shift=[-1, 1]
    )
    X = blocks.from_str(["dim=16,depth=2,inner_0=16,inner_1=64,shift=1"])
    # not with depth, which says how many, and not with a shift, which may be negative
    assert Numbers(blocks).transform(X)[0, -1] == pytest.approx(np.log1p(16 * (16 + 16 + 16 + 64)))
    assert len(plan(blocks).names) == 5 + 3 + 2


def test_what_follows_skips_what_does_not_apply():
    space = own(
        on=["yes", "no"],
        **{f"w_{i}": ft.choice([2, 4], when={"on": ["yes"]} if i == 1 else None) for i in range(3)},
    )
    F = Numbers(space).transform([[0, 1, 1, 0], [1, 1, 1, 0]])
    assert np.allclose(F[:, -1], np.log1p([4 * 4 + 4 * 2, 4 * 2]))


def test_products_are_left_out_where_they_would_be_many():
    once = {f"{name}": [1, 2, 4] for name in "abcdefghi"}
    few = own(
        **dict(list(once.items())[:8]), u=ft.choice([1, 2], repeat=2), v=ft.choice([1, 2], repeat=3)
    )
    many = own(**once, u=ft.choice([1, 2], repeat=2), v=ft.choice([1, 2], repeat=3))
    assert len(plan(few).names) == 8 + 5 + 2 * 3 + 16
    assert len(plan(many).names) == 9 + 5 + 2 * 3
    assert Numbers(many).transform(many.sample(4, rng=0)).shape == (4, 20)


def test_a_number_that_is_said_twice_counts_once():
    assert len(plan(own(kernel=["3x3", "5x5", "7x7"])).names) == 1


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
