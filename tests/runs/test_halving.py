from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretell.errors import SettingError
from foretell.runs.halving import Bracket, Halving, estimate


def climb(bracket, value, fail=(), workers=1, order=None):
    """Carry a bracket out; `value(id, epochs)`; returns what was trained, in order."""
    steps, out = [], []
    rng = np.random.default_rng(order)
    for _ in range(10_000):
        while len(out) < workers and (step := bracket.next()) is not None:
            out.append(step)
            steps.append(step)
        if not out:
            return steps
        one, epochs = out.pop(0 if order is None else int(rng.integers(len(out))))
        if one in fail:
            bracket.left(one)
        else:
            bracket.reached(one, epochs, value(one, epochs))
    raise AssertionError("never ends")


@pytest.mark.parametrize(
    ("setting", "epochs", "rungs"),
    [
        ({}, 1, (1,)),
        ({}, 9, (1, 3, 9)),
        ({"eta": 2, "min_epochs": 3}, 20, (3, 6, 12, 20)),
        ({"min_epochs": 30}, 20, (20,)),
    ],
)
def test_rungs_grow_by_eta_up_to_the_end(setting, epochs, rungs):
    assert Halving(**setting).rungs(epochs) == rungs


@pytest.mark.parametrize("workers", [1, 3, 50])
def test_one_in_eta_goes_on_and_it_is_the_best(workers):
    bracket = Bracket(Halving(eta=3), (1, 3, 9), range(18))
    steps = climb(bracket, lambda one, epochs: float(one), workers=workers, order=workers)
    assert bracket.done
    assert {one for one, epochs in steps if epochs == 3} == {12, 13, 14, 15, 16, 17}
    assert {one for one, epochs in steps if epochs == 9} == {16, 17}
    assert len(steps) == len(set(steps)) == 18 + 6 + 2
    assert bracket.stopped == {**dict.fromkeys(range(12), 1), **dict.fromkeys(range(12, 16), 3)}


def test_ties_go_to_the_older_and_failures_make_room():
    bracket = Bracket(Halving(eta=2), (1, 2), range(4))
    steps = climb(bracket, lambda one, epochs: 0.5, fail={0})
    assert [one for one, epochs in steps if epochs == 2] == [1, 2], "2 of the 3 that are left"
    assert bracket.stopped == {3: 1}


def test_a_round_that_fails_is_done():
    bracket = Bracket(Halving(), (1, 3), range(3))
    climb(bracket, lambda one, epochs: 1.0, fail={0, 1, 2})
    assert bracket.done
    assert bracket.stopped == {}


def test_asha_promotes_without_waiting_for_the_round():
    bracket = Bracket(Halving(eta=2, kind="asha"), (1, 2, 4), range(4))
    steps = climb(bracket, lambda one, epochs: float(one))
    # after 0 and 1 the better one goes on; nobody waits for 2 and 3
    assert steps[:3] == [(0, 1), (1, 1), (1, 2)]
    assert bracket.done
    assert (3, 4) in steps or (3, 2) in steps


def test_asha_compares_with_earlier_rounds():
    earlier = {1: [0.1, 0.2, 0.3, 0.4, 0.5]}
    good = Bracket(Halving(eta=3, kind="asha"), (1, 3), [7], earlier)
    assert climb(good, lambda one, epochs: 0.45) == [(7, 1), (7, 3)]
    bad = Bracket(Halving(eta=3, kind="asha"), (1, 3), [7], earlier)
    assert climb(bad, lambda one, epochs: 0.25) == [(7, 1)]
    assert bad.stopped == {7: 1}


@given(
    n=st.integers(1, 30),
    eta=st.integers(2, 4),
    kind=st.sampled_from(["sync", "asha"]),
    workers=st.integers(1, 8),
    seed=st.integers(0, 1000),
)
def test_every_round_ends_with_somebody_at_the_top(n, eta, kind, workers, seed):
    values = np.random.default_rng(seed).random(n)
    bracket = Bracket(Halving(eta=eta, kind=kind), Halving(eta=eta).rungs(20), range(n))
    steps = climb(bracket, lambda one, epochs: values[one], workers=workers, order=seed)
    assert bracket.done
    assert len(steps) == len(set(steps))
    assert bracket.values[-1]
    assert len(bracket.stopped) + len(bracket.values[-1]) == n
    if kind == "sync":
        assert int(np.argmax(values)) in bracket.values[-1]


@given(stop=st.integers(0, 40), seed=st.integers(0, 20))
def test_a_round_that_is_taken_up_again_ends_alike(stop, seed):
    values = np.random.default_rng(seed).random(12)

    def make():
        return Bracket(Halving(eta=2), (1, 2, 4, 8), range(12))

    whole = make()
    steps = climb(whole, lambda one, epochs: values[one])
    again = make()
    for one, epochs in steps[:stop]:
        again.reached(one, epochs, values[one])
    climb(again, lambda one, epochs: values[one], workers=3)
    assert again.values == whole.values


@pytest.mark.parametrize(
    "setting",
    [{"eta": 1}, {"eta": 2.5}, {"min_epochs": 0}, {"kind": "hyperband"}, {"rungs": 3}, "both"],
)
def test_wrong_settings_are_refused(setting):
    with pytest.raises(SettingError, match="halving"):
        Halving.of(setting)


def test_settings_may_be_short():
    assert Halving.of(None) is None
    assert Halving.of("asha") == Halving(kind="asha")
    assert Halving.of({"eta": 4}) == Halving(eta=4)


def test_a_stopped_network_is_told_what_it_might_have_become():
    assert estimate(0.4, 2, []) == 0.4
    finished = [[0.1, 0.2, 0.5], [0.1, 0.3, 0.4], [0.1, 0.2, 0.4]]
    assert math.isclose(estimate(0.4, 2, finished), 0.6)
    assert estimate(0.4, 3, finished) == 0.4, "nobody went further"
