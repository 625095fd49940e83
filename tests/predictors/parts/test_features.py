"""What features of several encodings weigh beside one another."""

from __future__ import annotations

import numpy as np

import foretell as ft
from foretell.metrics import kendall
from foretell.predictors.parts.features import FEATURES, resolve, standard

CHAIN = ft.spaces.get("mobile", preset="tiny", input_shape=(1, 8, 8), n_outputs=10)


def test_spreads_by_the_formula():
    X = CHAIN.sample(200, rng=0)
    parts = resolve(("graph-stats", "edges", "size"), CHAIN, X)
    blocks = [part.encode(X) for part in parts]
    F, centre, weight = standard(parts, X)
    assert np.array_equal(F, np.concatenate(blocks, axis=1, dtype=np.float64))
    spread = ((F - centre) * weight).std(axis=0)
    wish = np.repeat([1.0, 0.3, 2.0], [block.shape[1] for block in blocks])
    constant = F.std(axis=0) < 1e-6
    assert constant.any()
    assert np.allclose(spread[~constant], wish[~constant], atol=1e-4)
    assert not weight[constant].any()


def test_columns_of_a_decision_weigh_as_its_total():
    space = ft.Space.from_choices(
        {"depth": [1, 2, 4], "width": ft.choice([8, 16, 32], repeat=9), "op": ["a", "b"]},
        build=print,
    )
    X = space.sample(100, rng=0)
    F, centre, weight = standard(resolve(FEATURES, space, X), X)
    spread = ((F - centre) * weight).std(axis=0)
    assert np.allclose(spread[:12], [1.0, *[1 / 3] * 9, 1.0, 1.0], atol=1e-4)


def test_default_features_of_a_space_with_numbers_and_of_one_without():
    def names(space):
        return [type(one).__name__ for one in resolve(FEATURES, space, space.sample(2, rng=0))]

    own = ft.Space.from_choices({"width": ["8ch", "16ch"], "op": ["a", "b"]}, build=print)
    assert names(own) == ["Numbers", "Options"]
    assert names(ft.spaces.get("nb201")) == ["GraphStats", "Edges", "Depths", "OneHot"]
    many = ft.Space.from_choices({"width": range(8, 1000)}, build=print)
    assert names(many) == ["Numbers"]


def test_size_is_heard_beside_a_thousand_features():
    """24 results that follow the parameters but for noise of half their spread."""
    size, taus = ft.encodings.get("size", CHAIN), []
    for seed in range(4):
        X = CHAIN.sample(300, rng=seed)
        truth = size.encode(X)[:, 0].astype(np.float64)
        truth = (truth - truth.mean()) / truth.std()
        y = truth + 0.5 * np.random.default_rng(seed).normal(size=300)
        model = ft.predictors.get("bayes-lin", space=CHAIN, encoding=(*FEATURES, "size"))
        taus.append(kendall(truth[24:], model.fit(X[:24], y[:24]).predict(X[24:])))
    assert np.mean(taus) > 0.57  # .42 where size weighs no more than any other feature
