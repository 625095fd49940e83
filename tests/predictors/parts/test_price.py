"""Which evidence is worth its price: what it costs, what it tells, and both budgets."""

from __future__ import annotations

import numpy as np
import pytest

import foretell as ft
from foretell.evidence import Evidence, ledger
from foretell.evidence.base import Paid
from foretell.predictors.auto import Auto
from foretell.predictors.parts.price import worth_it

NB201 = ft.spaces.get("nb201")


class Priced(Evidence):
    """What decides, or noise, for so many seconds a row that nobody waits for."""

    def __init__(self, what="signal", price=1.0, space=None):
        self.what = what
        self.price = price
        self.space = space

    @property
    def features(self):
        return (self.what,)

    def compute(self, X):
        draws = np.random.default_rng(int(X.sum()) + len(self.what))
        found = signal(X) if self.what == "signal" else draws.normal(size=len(X))
        return Paid(found, np.full(len(X), self.price))


def signal(X):
    """Of no use to who sees the row as numbers alone."""
    return np.sin(1.7 * X @ np.arange(1, 7) ** 2)


@pytest.fixture(autouse=True)
def _ledger(tmp_path):
    with ledger(tmp_path / "evidence"):
        yield


@pytest.fixture
def data():
    X = NB201.sample(60, rng=0)
    return X, signal(X) + 0.05 * np.random.default_rng(0).normal(size=60)


def chosen(data, evidence, init_s=None, query_s=None):
    remarks = []
    found = worth_it(NB201, *data, evidence, init_s, query_s, 0, remarks)
    return [one.what for one in found], remarks


def test_what_tells_is_taken_and_noise_is_not(data):
    both = Priced("signal", 1.0), Priced("noise", 0.001)
    taken, remarks = chosen(data, both, query_s=2.0)
    assert taken == ["signal"]
    assert sorted(remarks) == ["noise tells nothing new", "signal is worth 1 s a row"]


def test_what_a_query_cannot_pay_is_left_out(data):
    taken, remarks = chosen(data, (Priced("signal", 1.0),), query_s=0.5)
    assert taken == []
    assert remarks == ["signal costs 1 s a row, and 0.5 s are left for one"]


def test_rows_that_are_known_cost_nothing_to_begin_with(data):
    one = Priced("signal", 1.0)
    taken, remarks = chosen(data, (one,), init_s=30.0)
    assert taken == []
    assert remarks[0].endswith("s to begin with, of 30 s")
    Priced("signal", 1.0, NB201).values(data[0])
    assert chosen(data, (one,), init_s=30.0)[0] == ["signal"]


def test_without_results_the_cheapest_goes_first():
    none = NB201.sample(0, rng=0), np.zeros(0)
    several = Priced("dear", 3.0), Priced("cheap", 1.0), Priced("middling", 1.5)
    taken, _ = chosen(none, several, query_s=2.6)
    assert taken == ["cheap", "middling"]


def test_auto_asks_for_what_is_worth_it(data):
    X, y = data
    several = (Priced("signal", 1.0), Priced("dear", 50.0))
    model = Auto(NB201, ("gp",), evidence=several, query_s=5.0, random_state=0).fit(X, y)
    assert "signal is worth 1 s a row" in model.note_
    assert "dear costs 50 s a row" in model.note_
    test = NB201.sample(200, rng=1)
    poor = Auto(NB201, ("gp",), evidence=several, query_s=0.5, random_state=0).fit(X, y)
    with_, without = (ft.metrics.kendall(signal(test), m.predict(test)) for m in (model, poor))
    assert with_ > without + 0.2
    everything = Auto(NB201, ("gp",), evidence=several, random_state=0).fit(X, y)
    assert "worth" not in everything.note_
