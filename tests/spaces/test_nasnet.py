"""The NASNet space: its size, what is the same network, and its supernet."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import foretell as ft
from foretell.supernets.inherit import inherit
from foretell.training.data import load


@pytest.fixture(scope="module")
def space():
    return ft.spaces.get("nasnet", blocks=3, channels=4, n_cells=3, input_shape=(3, 8, 8))


def test_size_is_that_of_the_choices() -> None:
    """ENAS, section 2.3: 5 x 5 operations and (b + 2)^2 inputs of block b, twice."""
    for blocks in (1, 2, 5):
        space = ft.spaces.get("nasnet", blocks=blocks)
        a_cell = np.prod([((b + 2) * 5.0) ** 2 for b in range(blocks)])
        assert float(space.size) == pytest.approx(a_cell**2)


def test_order_of_blocks_and_of_inputs_is_the_same_network(space) -> None:
    X = np.zeros((3, space.d), dtype=int)
    cells = X.reshape(3, 2, 3, 2, 2)  # cell, block, input, (source, operation)
    cells[:] = [[0, 0], [1, 1]]
    cells[0, 0] = [[[0, 0], [1, 4]], [[1, 2], [1, 3]], [[2, 1], [3, 0]]]
    cells[1, 0] = [[[1, 3], [1, 2]], [[1, 4], [0, 0]], [[2, 0], [3, 1]]]  # blocks 0, 1 exchanged
    cells[2, 0] = [[[0, 0], [1, 4]], [[1, 2], [1, 3]], [[2, 0], [3, 1]]]  # operations exchanged
    keys = space.canonical(X)
    assert keys[0] == keys[1]
    assert keys[0] != keys[2]
    sizes = space.costs(X).params
    assert sizes[0] == sizes[1]


def test_parameters_by_hand() -> None:
    """One block a cell: a sep_conv and the newer input itself; the older one is loose."""
    space = ft.spaces.get("nasnet", blocks=1, channels=4, n_cells=3, input_shape=(3, 8, 8))
    x = [1, 0, 1, 4] * 2

    def sep(c: int) -> int:
        return 2 * (9 * c + c * c + 2 * c)

    total, before, previous, halved = 27 * 4 + 8, 4, 4, False
    for k, c in enumerate((4, 8, 16)):  # cells 1 and 2 halve the size
        total += before * c + 2 * c + previous * c + 2 * c + sep(c) + 2 * c * c + 2 * c
        total += c * c + 2 * c if halved and k else 0  # an older input that is halved twice
        before, previous, halved = previous, c, bool(k)
    total += 16 * 10 + 10
    assert space.costs([x]).params[0] == total
    assert halved


def test_a_row_is_the_network_that_build_makes(space) -> None:
    torch.manual_seed(0)
    net, mixture = space.supernet((3, 8, 8), 5), space.mixture()
    X, x = space.sample(8, rng=0), torch.randn(4, 3, 8, 8)
    np.testing.assert_array_equal(mixture.rows(mixture.weights(X)), X)
    for row in X:
        net.board.show(torch.from_numpy(mixture.weights(row[None])[0]))
        alone = space.build(row, (3, 8, 8), 5)
        assert inherit(net, alone, x) == sum(p.numel() for p in alone.parameters() if p.ndim > 1)
    assert not set(net.net.cells[0].edges) ^ set(space._edges())


def test_what_reads_a_block_follows_it(space) -> None:
    names = [site.name for site in space.mixture().sites]
    links = {(names[a], names[b]) for a, b in space.mixture().links()}
    assert ("normal_block_0_1_from_1", "normal_block_2_0_from_2") in links
    assert not any(a.split("_")[0] != b.split("_")[0] for a, b in links)


@pytest.mark.parametrize("method", ["enas", "rsws", "gdas", "darts"])
def test_searches_find_rows(method: str) -> None:
    space = ft.spaces.get("nasnet", blocks=2, channels=4, n_cells=3, input_shape=(1, 8, 8))
    digits = load("digits", fractions=(0.08, 0.05, 0.87))
    settings = {"rsws": {"n": 10}, "enas": {"steps": 2, "samples": 2, "n": 2}}.get(method)
    search = ft.supernets.get(method, space=space, settings=settings, epochs=1).fit(digits)
    assert space.contains(search.ranking_).all()
    assert np.isfinite(search.score(search.ranking_)).all()
