"""The scale of a prior's scores: that of the networks which it has learnt from."""

from __future__ import annotations

import numpy as np

from foretell.graphs.measures import NAMES
from foretell.transfer.parts.learning import Source, learn
from foretell.transfer.parts.prior import shipped


def sources(seed: int) -> list[Source]:
    rng = np.random.default_rng(seed)
    numbers = [rng.normal(loc=3.0 * i, size=(200, len(NAMES))) for i in range(2)]
    return [Source(f"s{i}", x, x[:, 0] + rng.normal(size=200)) for i, x in enumerate(numbers)]


def test_the_middle_is_0_and_two_thirds_are_within_1():
    told = sources(0)
    prior = learn(told, members=3, steps=40, random_state=0)
    own = [prior.score(one.numbers)[0] for one in told]
    low, middle, high = np.mean([np.quantile(one, [0.16, 0.5, 0.84]) for one in own], axis=0)
    assert abs(middle) < 1e-3
    assert abs((high - low) / 2 - 1) < 1e-3
    np.testing.assert_allclose(prior.share(np.zeros(1)), 0.5, atol=0.01)


def test_another_scale_keeps_the_order():
    told = sources(1)
    prior = learn(told, members=3, steps=40, random_state=0)
    other = prior.scaled([10 * prior.score(one.numbers)[0] + 7 for one in told])
    x = told[0].numbers
    assert (np.argsort(prior.score(x)[0]) == np.argsort(other.score(x)[0])).all()
    assert abs(np.ptp(prior.score(x)[0]) / np.ptp(other.score(x)[0]) - 10) < 1e-3


def test_so_is_the_one_that_ships():
    levels = shipped().arrays["levels"]
    assert levels[50] == 0
    assert abs((levels[84] - levels[16]) / 2 - 1) < 1e-5
