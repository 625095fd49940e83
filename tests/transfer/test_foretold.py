"""The prior's score as an encoding, and numbers of graphs as one."""

from __future__ import annotations

import numpy as np

import foretell as ft
from foretell.graphs.measures import NAMES, measures
from foretell.strategies.neural_predictor import NeuralPredictor
from foretell.transfer.parts.prior import shipped


def test_scores_are_the_priors() -> None:
    space = ft.spaces.get("nb201")
    X = space.sample(5, rng=0)
    expected = shipped().score(measures(space.computations(X)))[0][:, None]
    got = ft.encodings.get("foretold", space).transform(X)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_measures_are_told_once_and_alike() -> None:
    space = ft.spaces.get("nb201")
    encoding = ft.encodings.get("measures", space)
    X = space.sample(20, rng=1)
    first = encoding.transform(X)
    np.testing.assert_array_equal(encoding.transform(X[::-1])[::-1], first)
    np.testing.assert_allclose(first, measures(space.computations(X)), rtol=1e-6)
    assert encoding.get_feature_names_out().tolist() == list(NAMES)
    assert encoding.transform(X[:0]).shape == (0, len(NAMES))


def test_the_first_rows_of_a_search_can_be_chosen_by_it() -> None:
    space = ft.spaces.get("nb201")
    strategy = NeuralPredictor(n_train=10, warm="foretold", predictor="gp")
    search = ft.Search(space, strategy, seed=0)
    chosen = search.ask(10)
    scores = ft.encodings.get("foretold", space).transform
    assert scores(chosen).min() > np.median(scores(space.sample(200, rng=1)))
