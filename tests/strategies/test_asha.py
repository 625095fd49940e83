"""ASHA against a hand-worked example and an independent rule, and on real learning curves."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

import foretell as ft
from foretell.evaluators.lookup import Lookup
from foretell.evaluators.simulated import Simulated
from foretell.search.history import History
from foretell.search.loop import Loop
from foretell.spaces.parts.listed import listed
from foretell.strategies.asha import ASHA

SPACE = ft.spaces.get("nb201")
DATA = Path(os.environ.get("FORETELL_DATA", "../shared/data"))


def test_promotes_without_waiting_for_the_round():
    search = ft.Search(SPACE, ASHA(eta=2), seed=0, max_epochs=4)
    a, b = search.ask(2)
    search.tell([a], [0.1])
    assert search.due == 0, "half of one is nobody"
    search.tell([b], [0.2])
    X, epochs = search.ask_epochs(1)
    assert (X[0].tolist(), epochs.tolist()) == (b.tolist(), [2])
    assert search.due == 0, "it is on its way"
    new, epochs = search.ask_epochs(1)
    assert search.n_rows == 3
    assert epochs.tolist() == [1]
    search.tell(new, [0.3])  # two of the three would be one: b has gone already, this one is better
    assert search.due == 1
    assert search.ask(1)[0].tolist() == new[0].tolist()


def test_the_highest_rung_goes_first():
    X = next(SPACE.enumerate())[:5]
    history = History.of(SPACE, X[:4], [0.1, 0.2, 0.3, 0.4], epochs=1, max_epochs=4)
    history = history.append(X[[2, 3]], [0.5, 0.6], epochs=2, ids=[2, 3])
    history = history.append(X[[4]], [0.45], epochs=1, ids=[4])
    due = ASHA(eta=2).promotions(history)
    # rung 2: one of 2 and 3; rung 1: the best two of five are 4 and 3, and 3 has gone
    assert due.X.tolist() == X[[3, 4]].tolist()
    assert due.epochs.tolist() == [4, 2]


@given(
    n=st.integers(1, 40),
    eta=st.integers(2, 4),
    seed=st.integers(0, 10_000),
)
def test_promotions_are_those_of_the_rule(n, eta, seed):
    """Against the definition, row by row: rank among all that ever reached the rung."""
    rng = np.random.default_rng(seed)
    X = next(SPACE.enumerate())[:n]
    levels = rng.integers(0, 3, n)  # how far each has come
    history = History.empty(SPACE, eta**2)
    for level, epochs in enumerate((1, eta, eta**2)):
        ids = np.flatnonzero(levels >= level)
        failed = (levels[ids] == level) & (rng.random(len(ids)) < 0.2)
        y = np.where(failed, np.nan, rng.integers(0, 5, len(ids)).astype(float))
        history = history.append(X[ids], y, epochs=epochs, ids=ids)
        levels[ids[failed]] = -1 - level  # gone at this level
    expected = []
    for level, epochs, above in ((1, eta, eta**2), (0, 1, eta)):
        pool = [
            (-history.y[k], history.ids[k])
            for k in range(len(history))
            if history.epochs[k] == epochs and history.status[k] == 0
        ]
        best = [i for _, i in sorted(pool)[: len(pool) // eta]]
        expected += [(X[i].tolist(), above) for i in best if levels[i] == level]
    due = ASHA(eta=eta).promotions(history)
    got = [] if due is None else list(zip(due.X.tolist(), due.epochs.tolist(), strict=True))
    assert got == expected


def test_a_sampler_in_rounds_is_asked_when_all_of_a_round_are_told():
    inner = ft.strategies.get("neural-predictor", n_train=6, predictor=Ridge(), batch=3)
    search = ft.Search(SPACE, ASHA(inner, eta=2), seed=0, max_epochs=4)
    assert search.round_size == 6
    X = search.ask(6)
    search.tell(X[:4], [0.1, 0.2, 0.3, 0.4])
    assert search.round_size == 0, "two are out"
    assert search.due == 2
    X2, epochs = search.ask_epochs(2)
    assert epochs.tolist() == [2, 2]
    search.tell(X[4:], [0.0, 0.0])
    search.tell(X2, [0.5, 0.6], epochs=epochs)
    while search.due:
        rest, epochs = search.ask_epochs(1)
        search.tell(rest, [0.7], epochs=epochs)
    assert search.round_size == 3
    assert search.ask_epochs(3)[1].tolist() == [1] * 3


@pytest.mark.parametrize("workers", [1, 4, 64])
def test_on_the_curves_of_real_trainings(workers):
    path = DATA / "nb_nlp_wikitext2.jsonl.gz"
    if not path.exists():
        pytest.skip(f"no {path}")
    table = ft.Table.open(path)
    lookup = Lookup(table, "val_loss", "min", "test_loss", "train_s")
    assert lookup.epochs == 50
    space = listed(table.space, table.X)
    found, spent, hours = [], [], []
    for seed in range(5):
        search = ft.Search(space, ASHA(), seed, "min", lookup.epochs)
        clock = Simulated(lookup, workers)
        list(Loop(search, lookup, clock, networks=120).run())
        full = search.history.full
        assert len(full) >= 1
        found.append(search.best_value)
        spent.append(clock.busy_s / 3600)
        hours.append(clock.now_s / 3600)
    whole = table.column("train_s").mean() * 120 / 3600
    assert np.mean(spent) < 0.25 * whole, "of what it costs to train all of them"
    y = table.column("val_loss")
    assert np.mean(found) < np.quantile(y[np.isfinite(y)], 0.05), "among the best 5 % of all"
    if workers == 64:
        assert np.mean(hours) < 24, "the longest trainings decide"
