"""BRP-NAS: the relation of two is a difference of scores."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import foretell as ft
from foretell.metrics import kendall
from foretell.predictors.brp import BRP

NB201 = ft.spaces.get("nb201")
FAST = {"hidden": 16, "members": 2, "epochs": 5, "min_steps": 40}


def examples(n=60):
    X = NB201.sample(n, rng=0)
    return X, (X == 3).sum(axis=1) + 0.1 * (X == 2).sum(axis=1)


def test_a_linear_pair_model_is_a_difference_of_scores():
    """Softmax of W [e_i; e_j] + b, averaged in log-odds over both orders, against s_i - s_j."""
    rng = np.random.default_rng(0)
    E, W, b = rng.normal(size=(6, 4)), rng.normal(size=(2, 8)), rng.normal(size=2)
    s = E @ (W[0, :4] - W[1, :4] - W[0, 4:] + W[1, 4:]) / 2
    for i, j in itertools.permutations(range(6), 2):
        odds = []
        for first, second in ((i, j), (j, i)):
            logits = W @ np.concatenate([E[first], E[second]]) + b
            odds.append(logits[0] - logits[1])
        assert (odds[0] - odds[1]) / 2 == pytest.approx(s[i] - s[j])


def test_relation_is_antisymmetric_and_sides_with_the_ranking(compares_as_it_ranks):
    compares_as_it_ranks(BRP(NB201, random_state=0, **FAST).fit(*examples()))


def test_sorting_by_brp_scores_is_sorting_by_its_comparator():
    """One member: the comparator never goes in a circle, and orders as the predictions do."""
    X, y = examples()
    model = BRP(NB201, random_state=0, **{**FAST, "members": 1}).fit(X, y)
    T = np.unique(NB201.sample(40, rng=3), axis=0)
    n = len(T)
    left, right = np.repeat(np.arange(n), n), np.tile(np.arange(n), n)
    beats = (model.compare(T[left], T[right]) > 0.5 + 1e-9).reshape(n, n)
    assert kendall(beats.sum(axis=1), model.predict(T)) > 0.999


def test_beats_the_size_of_the_network(beats_size):
    beats_size(BRP(NB201, members=2, random_state=0), 0.1)
