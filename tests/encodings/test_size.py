from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import foretell as ft
from foretell.encodings.size import Size
from foretell.errors import SettingError, SpaceError


def mlp(decisions, input_shape, n_outputs):
    widths = [int(np.prod(input_shape)), *decisions["width"]]
    layers = [torch.nn.Linear(a, b) for a, b in itertools.pairwise(widths)]
    return torch.nn.Sequential(*layers, torch.nn.Linear(widths[-1], n_outputs))


def own(**settings):
    return ft.Space.from_choices(
        {"depth": [1, 2, 3, 4], "width": ft.choice([8, 16, 32, 64], repeat="depth")},
        build=mlp, input_shape=(10,), n_outputs=3, **settings,
    )  # fmt: skip


def test_exact_where_there_is_a_closed_form():
    space = ft.spaces.get("nb201")
    X = space.sample(50, rng=0)
    costs = space.costs(X)
    assert np.allclose(
        np.expm1(Size(space).transform(X).astype(float)), np.stack(costs, 1), rtol=1e-5
    )


def test_estimate_is_close_and_the_same_in_every_call():
    """340 rows, 100 of them built: the others are ranked almost as by building them."""
    space = own()
    X = np.concatenate(list(space.enumerate()))
    estimated = Size(space, max_builds=100).transform(X)
    exact = Size(space, max_builds=1000).transform(X)
    assert np.array_equal(exact[:, 0], np.log1p(space.costs(X).params).astype(np.float32))
    for column in (0, 1):
        assert ft.metrics.spearman(exact[:, column], estimated[:, column]) > 0.97
    assert np.allclose(estimated[5:6], Size(space, max_builds=100).transform(X[5:6]), rtol=1e-5)


def test_few_networks_tell_the_sizes_of_a_space_of_numbers():
    """Of 59,049 rows 128 are built, and the others are known within some percent."""
    widths = [4, 6, 8, 12, 16, 24, 32, 48, 64]

    def build(decisions, input_shape, n_outputs):
        return mlp({"width": list(decisions.values())}, input_shape, n_outputs)

    space = ft.Space.from_choices(
        {f"width{i}": widths for i in range(5)}, build=build, input_shape=(10,), n_outputs=3
    )
    X = space.sample(200, rng=7)
    exact = np.log1p(np.stack(space.costs(X), axis=1).astype(float))
    assert np.abs(Size(space).transform(X) - exact).mean() < 0.03


def test_estimate_follows_the_data_of_the_space():
    """A wider input means more parameters, also for an estimate that was made before."""
    space = own()
    X = space.sample(20, rng=0)
    small = Size(space, max_builds=50).transform(X)
    assert (Size(space.with_io((500,), 3), max_builds=50).transform(X) > small).all()


def test_errors_in_words():
    def broken(decisions, input_shape, n_outputs):
        raise RuntimeError("no memory")

    space = ft.Space.from_choices({"a": [1, 2]}, build=broken)
    with pytest.raises(SpaceError, match="RuntimeError: no memory"):
        Size(space).transform([[0]])
    with pytest.raises(SettingError, match="max_builds"):
        Size(own(), max_builds=1).transform(own().sample(1, rng=0))
