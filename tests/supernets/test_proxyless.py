"""The ProxylessNAS space, which has its supernet from its marks alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import foretell as ft
from foretell.nets.counts import measure
from foretell.supernets.inherit import inherit
from foretell.training.data import load


def test_the_network_by_hand_is_about_mobilenet_v2() -> None:
    """MobileNetV2 has 3.4 M parameters with other depths; here 21 blocks of expansion 6."""
    space = ft.spaces.get("proxyless")
    _, row = space.baseline()
    params, flops = measure(lambda: space.build(row, (3, 224, 224), 1000), (3, 224, 224))
    by_hand, c = 27 * 32 + 64 + (9 * 32 + 64) + (32 * 16 + 32), 16
    for width, depth in zip((24, 40, 80, 96, 192, 320), (4, 4, 4, 4, 4, 1), strict=True):
        for _ in range(depth):
            wide = 6 * c
            by_hand += c * wide + 2 * wide + 9 * wide + 2 * wide + wide * width + 2 * width
            c = width
    by_hand += 320 * 1280 + 2560 + 1281 * 1000
    assert params == by_hand
    assert 5e8 < flops < 1.2e9


def test_none_leaves_a_block_out_and_rows_are_parts_of_the_supernet() -> None:
    space = ft.spaces.get("proxyless", width=0.25, depth=2, input_shape=(3, 16, 16))
    X = space.sample(4, rng=0)
    X[0, 1] = 6  # none
    torch.manual_seed(0)
    whole = space.supernet((3, 16, 16), 5)
    batch = torch.randn(4, 3, 16, 16)
    for x in X:
        alone = space.build(x, (3, 16, 16), 5)
        whole.board.show(torch.from_numpy(space.mixture().weights(x[None])[0]))
        inherit(whole, alone, batch)
        torch.testing.assert_close(whole.train()(batch), alone.train()(batch), rtol=1e-3, atol=1e-4)
    assert not hasattr(space.build(X[0], (3, 16, 16), 5), "block1")


@pytest.mark.parametrize("method", ["proxylessnas", "spos"])
def test_searches_find_rows(method: str) -> None:
    space = ft.spaces.get("proxyless", width=0.25, depth=2, input_shape=(1, 8, 8))
    digits = load("digits", fractions=(0.08, 0.05, 0.87))
    settings = {"spos": {"n": 20}}.get(method)
    search = ft.supernets.get(method, space=space, settings=settings, epochs=1).fit(digits)
    assert space.contains(search.ranking_).all()
    assert np.isfinite(search.score(search.ranking_)).all()
