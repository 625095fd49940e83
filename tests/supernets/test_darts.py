"""Supernets of the DARTS space and its relatives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import foretell as ft
from foretell.supernets.inherit import inherit
from foretell.training.data import load

NAMES = ("darts", "darts-s1", "darts-s2", "darts-s3", "darts-s4")


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_mixtures_and_back(name: str) -> None:
    space = ft.spaces.get(name, channels=4, n_cells=3)
    X, where = space.sample(50, rng=0), space.mixture()
    weights = where.weights(X)
    assert (where.rows(weights) == X).all()
    assert (weights.sum((1, 2)) == 16).all()
    assert [len(node.sites) for node in where.nodes] == [2, 3, 4, 5] * 2
    for e, site in enumerate(where.sites):  # the same edges and operations as in the string
        names = {site.options[k] for k in np.flatnonzero(weights[:, e].any(axis=0))}
        assert names <= set(site.options) - {"none"}
    assert (space.from_str(space.to_str(X)) == X).all()


def test_lists_of_operations_are_those_of_the_paper() -> None:
    options = {name: ft.spaces.get(name).mixture() for name in NAMES}
    first = [site.options for site in options["darts-s1"].sites]
    assert first[0] == ("skip_connect", "dil_conv_3x3")
    assert first[13] == ("dil_conv_3x3", "dil_conv_5x5")
    assert first[14 + 6] == ("max_pool_3x3", "sep_conv_3x3")
    assert options["darts-s3"].sites[0].options == ("none", "skip_connect", "sep_conv_3x3")
    assert options["darts-s4"].sites[27].options == ("noise", "sep_conv_3x3")
    assert options["darts"].shape == (28, 7)


def test_published_cells_have_their_published_size() -> None:
    """DARTS_V2 of the paper: 3.3 million at 20 cells of 36 channels."""
    from foretell.spaces.nb301 import NB301

    text = (
        "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), "
        "('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), "
        "('dil_conv_3x3', 2)], normal_concat=range(2, 6), reduce=[('max_pool_3x3', 0), "
        "('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
        "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=range(2, 6))"
    )
    space = NB301(channels=36, n_cells=20)
    assert round(space.costs(space.from_str([text])).params[0] / 1e6, 1) == 3.3


@pytest.mark.parametrize("name", ["darts", "darts-s1"])
def test_a_row_is_the_network_that_build_makes(name: str) -> None:
    """Of rows without poolings, which a search normalises."""
    space = ft.spaces.get(name, channels=4, n_cells=3, input_shape=(3, 8, 8))
    X = space.sample(200, rng=1)
    X = X[["pool" not in text for text in space.to_str(X)]][:2]
    for x in X:
        torch.manual_seed(0)
        whole, alone = space.supernet((3, 8, 8), 5), space.build(x, (3, 8, 8), 5)
        whole.board.show(torch.from_numpy(space.mixture().weights(x[None])[0]))
        inherit(whole, alone, batch := torch.randn(4, 3, 8, 8))
        torch.testing.assert_close(whole.train()(batch), alone.train()(batch), rtol=1e-4, atol=1e-5)


def test_noise_is_new_in_every_pass_and_has_no_gradient() -> None:
    from foretell.nets.ops import op

    noise, x = op("noise", 4, 2).eval(), torch.zeros(2, 4, 8, 8, requires_grad=True)
    a, b = noise(x), noise(x)
    assert a.shape == (2, 4, 4, 4)
    assert not torch.equal(a, b)
    a.sum().backward()
    assert not x.grad.any()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "method"), [("darts", "pc-darts"), ("darts", "nasp")])
def test_searches_find_rows(name: str, method: str) -> None:
    space = ft.spaces.get(name, channels=8, n_cells=3, input_shape=(1, 8, 8))
    digits = load("digits", fractions=(0.06, 0.05, 0.89))
    settings = {"pc-darts": {"divisor": 2}, "darts-pt": {"tune": 1}}.get(method, {})
    search = ft.supernets.get(method, space=space, settings=settings, epochs=1)
    assert space.contains(search.fit(digits).ranking_).all()
