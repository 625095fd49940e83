from __future__ import annotations

import numpy as np
import pytest

import foretell as ft
from foretell.errors import SpaceError

NB201 = ft.spaces.get("nb201")


@pytest.mark.parametrize(("name", "cost"), [("n-params", "params"), ("n-flops", "flops")])
@pytest.mark.parametrize("sign", [1.0, -1.0, 0.0])
def test_order_is_that_of_the_cost_whatever_the_targets_say(name, cost, sign):
    X = NB201.sample(60, rng=0)
    true = getattr(NB201.costs(X), cost)
    predicted = ft.predictors.get(name, space=NB201).fit(X[:20], sign * true[:20]).predict(X)
    assert ft.metrics.kendall(true, predicted) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["n-params", "n-flops"])
def test_a_build_without_its_library_does_not_remove_a_baseline(name):
    """Numbers of the space stand for its sizes; with words alone there is nothing to go by."""

    def build(decisions, input_shape, n_outputs):
        import no_such_library  # noqa: F401  # it fails

    space = ft.Space.from_choices(
        {"width": ft.choice(["16ch", "32ch"], repeat=3), "op": ["a", "b"]}, build=build
    )
    X = space.sample(30, rng=0)
    model = ft.predictors.get(name, space=space).fit(X[:10], np.arange(10.0))
    assert model.guessed_
    assert ft.metrics.kendall(X[:, :3].sum(axis=1), model.predict(X)) == pytest.approx(1.0)
    words = ft.Space.from_choices({"op": ["a", "b"]}, build=build)
    with pytest.raises(SpaceError, match="no_such_library"):
        ft.predictors.get(name, space=words).fit([[0], [1]], [0.0, 1.0])
