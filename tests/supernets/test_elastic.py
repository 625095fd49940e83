"""Numbers that a supernet leaves open: a row is the stand-alone network of its slices."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import foretell as ft
from foretell.errors import SpaceError
from foretell.nets.ops import chained, conv_bn, linear
from foretell.nets.supernet.elastic import Elastic, alike, elastic, of, times
from foretell.nets.supernet.elastic_layers import ElasticConv, sort_channels
from foretell.nets.supernet.mixed import Board
from foretell.supernets.inherit import inherit

SPACES = {
    "mobile": ({"preset": "tiny"}, (1, 8, 8)),
    "ofa-mbv3": ({"resolutions": (16, 24)}, (3, 24, 24)),
    "tabular": ({}, (12,)),
}


def opened(name: str):
    """A space, its supernet with kernels' matrices that are no identities, and some rows."""
    settings, shape = SPACES[name]
    space = ft.spaces.get(name, input_shape=shape, n_outputs=5, **settings)
    torch.manual_seed(0)
    net = space.supernet(shape, 5)
    for key, value in net.named_parameters():
        if "smaller" in key:
            nn.init.normal_(value, std=0.3)
    mixture = space.mixture()
    noise = np.random.default_rng(0).random((12, *mixture.shape))
    X = np.concatenate([mixture.rows(mixture.best(one)[None]) for one in noise])
    return space, net, space.canonical_form(X), torch.randn(4, *shape)


def show(net, space, row, dtype: torch.dtype = torch.float32) -> None:
    net.board.show(torch.from_numpy(space.mixture().weights(row[None])[0]).to(dtype))


@pytest.mark.parametrize("name", SPACES)
def test_a_row_is_the_network_that_build_makes(name: str) -> None:
    """`inherit` copies slices and compares outputs; all numbers of the network come from there."""
    space, net, X, x = opened(name)
    for row in X:
        show(net, space, row)
        alone = space.build(row, space.input_shape, 5)
        given = inherit(net, alone, x)
        layers = [m for m in alone.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        assert given == sum(m.weight.numel() for m in layers)


@pytest.mark.parametrize("name", SPACES)
def test_rows_are_mixtures_and_back(name: str) -> None:
    space, _, X, _ = opened(name)
    back = space.mixture().rows(space.mixture().weights(X))
    np.testing.assert_array_equal(space.canonical_form(back), X)


@pytest.mark.parametrize("name", SPACES)
def test_several_options_at_once_have_a_gradient_each_and_meet_at_the_corners(name: str) -> None:
    space, net, X, x = opened(name)
    net, x = net.double(), x.double()
    mixture = space.mixture()
    corner = torch.from_numpy(mixture.weights(X[:1])[0]).double()
    everything = torch.from_numpy(mixture.mask).double()
    alone = corner.clone()
    net.board.show(alone)
    there = net(x)
    net.board.show(alone, torch.from_numpy(mixture.mask).tolist())  # all run, one counts
    if name != "ofa-mbv3":  # whose resolution is one for a pass, the largest
        torch.testing.assert_close(net(x), there, rtol=1e-6, atol=1e-6)
    z = (everything / everything.sum(1, keepdim=True)).requires_grad_()
    net.board.show(z)
    net(x).square().sum().backward()
    assert z.grad is not None
    open_sites = everything.sum(1) > 1
    touched = (z.grad != 0).any(1)
    assert touched[open_sites].sum() >= open_sites.sum() - int(name == "ofa-mbv3")


def test_a_smaller_kernel_is_the_middle_times_a_matrix() -> None:
    """By hand: 7 to 5 by a 25 x 25 matrix, 5 to 3 by 9 x 9, the same for all channels."""
    board = Board([("3", "5", "7")])
    conv = ElasticConv(4, 4, Elastic(board, (0,), [3, 5, 7]), depthwise=True).double()
    x = torch.randn(2, 4, 9, 9).double()

    def shown(k: int) -> Tensor:
        board.show(torch.eye(3, dtype=torch.float64)[k][None])
        out: Tensor = conv(x)
        return out

    middle = conv.weight[..., 2:5, 2:5]
    torch.testing.assert_close(shown(0), functional.conv2d(x, middle, padding=1, groups=4))
    for k in ("5", "3"):
        nn.init.normal_(conv.smaller[k])
    five = (conv.weight[..., 1:6, 1:6].reshape(4, 25) @ conv.smaller["5"]).view(4, 1, 5, 5)
    three = (five[..., 1:4, 1:4].reshape(4, 9) @ conv.smaller["3"]).view(4, 1, 3, 3)
    torch.testing.assert_close(shown(1), functional.conv2d(x, five, padding=2, groups=4))
    torch.testing.assert_close(shown(0), functional.conv2d(x, three, padding=1, groups=4))


def test_a_mixture_of_kernels_is_the_mixture_of_their_results() -> None:
    board = Board([("3", "5")])
    conv = ElasticConv(3, 3, Elastic(board, (0,), [3, 5]), depthwise=True).double()
    x, each = torch.randn(2, 3, 8, 8).double(), []
    for k in range(2):
        board.show(torch.eye(2, dtype=torch.float64)[k][None])
        each.append(conv(x))
    board.show(torch.tensor([[0.3, 0.7]], dtype=torch.float64))
    torch.testing.assert_close(conv(x), 0.3 * each[0] + 0.7 * each[1])


def test_parts_are_views_of_the_largest() -> None:
    board = Board([("8", "16")])
    conv = ElasticConv(3, Elastic(board, (0,), [8, 16]), 3)
    board.show(torch.tensor([[1.0, 0.0]]))
    conv(torch.randn(1, 3, 8, 8))
    part = conv.shown()["weight"]
    assert part.shape == (8, 3, 3, 3)
    assert part.untyped_storage().data_ptr() == conv.weight.untyped_storage().data_ptr()


def test_several_widths_are_channels_that_count_less() -> None:
    """y = W (x * m), m_c the weight of all widths that have channel c."""
    board = Board([("2", "4")])
    width = Elastic(board, (0,), [2, 4])
    layer = linear(width, 3).double()
    x = torch.randn(5, 4).double()
    board.show(torch.tensor([[0.25, 0.75]], dtype=torch.float64))
    m = torch.tensor([1, 1, 0.75, 0.75]).double()
    torch.testing.assert_close(layer(x), functional.linear(x * m, layer.weight, layer.bias))


def test_several_depths_are_the_mean_of_their_results() -> None:
    board = Board([("1", "2", "3")])
    layers = [nn.Linear(4, 4).double() for _ in range(3)]
    net = chained(list(layers), Elastic(board, (0,), [1, 2, 3]))
    x = torch.randn(5, 4).double()
    board.show(torch.tensor([[0.2, 0.0, 0.8]], dtype=torch.float64))
    one = layers[0](x)
    torch.testing.assert_close(net(x), 0.2 * one + 0.8 * layers[2](layers[1](one)))


def test_numbers_of_several_sites() -> None:
    board = Board([("4", "8"), ("2", "3")])
    a, b = Elastic(board, (0,), [4, 8]), Elastic(board, (1,), [2, 3])
    wide = times(a, b)
    assert isinstance(wide, Elastic)
    assert wide.values.tolist() == [[8, 12], [16, 24]]
    assert (a * a).values.tolist() == [16, 64]  # one site, whose options are not mixed up
    board.show(torch.tensor([[0.5, 0.5], [0.0, 1.0]]))
    assert wide.now == 24
    assert wide.gain(24).tolist() == [1.0] * 12 + [0.5] * 12
    assert alike(a, a) is True
    assert alike(a, 5) is False
    assert alike(4, a).values.tolist() == [1, 0]
    assert of(lambda c: c // 4, wide).values.tolist() == [[2, 3], [4, 6]]
    assert elastic("relu") == "relu"


@pytest.mark.parametrize("name", ["mobile", "ofa-mbv3"])
def test_sorting_leaves_the_largest_network_as_it_is(name: str) -> None:
    """And puts the channels first that the last convolution of a block reads most of."""
    space, net, _, x = opened(name)
    net, x = net.double(), x.double()
    for module in net.modules():  # scales that differ, so that their order counts
        if isinstance(module, nn.BatchNorm2d) and module.weight is not None:
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
    top = np.array([len(site.options) - 1 for site in space.mixture().sites])
    rows = np.tile(top, (4 if name == "mobile" else 1, 1))
    if name == "mobile":
        rows[:, [0, 6]] = np.arange(4)[:, None]  # each kind of block
    before = []
    for row in rows:
        show(net, space, row, torch.float64)
        before.append(net(x))
    assert sort_channels(net, lambda size: [size.most]) > 0
    for row, old in zip(rows, before, strict=True):
        show(net, space, row, torch.float64)
        torch.testing.assert_close(net(x), old, rtol=1e-10, atol=1e-10)
    last = [
        m for m in net.modules()
        if isinstance(m, ElasticConv) and isinstance(m.c_in, Elastic) and m.c_in.inner
        and not m.depthwise and m.bias is None
    ]  # fmt: skip
    for conv in last:
        read = conv.weight.detach().abs().sum((0, 2, 3))
        assert (read.diff() <= 1e-12).all()


def test_channels_that_smaller_blocks_have_stay_theirs() -> None:
    board = Board([("4", "8")])
    wide = times(1, Elastic(board, (0,), [4, 8]).private())
    assert isinstance(wide, Elastic)
    net = nn.Sequential(*conv_bn(3, wide, 1), *conv_bn(wide, 2, 1))
    board.show(torch.tensor([[1.0, 0.0]]))
    x = torch.randn(4, 3, 5, 5)
    small = net(x)
    sort_channels(net, lambda size: [4, 8])
    torch.testing.assert_close(net(x), small)


def test_an_own_space_leaves_numbers_open() -> None:
    class Own(ft.Space):
        """Layers of some width, as many as there are."""

        depth = ft.choice([1, 2, 3], mix=True)
        width = ft.choice([4, 8, 16], mix=True)

        def build(self, x, input_shape, n_outputs):
            picked = self.decode(x)
            width, depth = elastic(picked["width"]), elastic(picked["depth"])
            most = depth.most if isinstance(depth, Elastic) else depth
            layers = [nn.Sequential(linear(width, width), nn.ReLU()) for _ in range(most)]
            stem = linear(input_shape[0], width)
            return nn.Sequential(stem, chained(layers, depth), linear(width, n_outputs))

    space = Own(input_shape=(12,), n_outputs=4)
    net, x = space.supernet((12,), 4), torch.randn(6, 12)
    for row in np.concatenate(list(space.enumerate())):
        show(net, space, row)
        assert inherit(net, space.build(row, (12,), 4), x) > 0


@pytest.mark.parametrize("name", SPACES)
def test_a_part_of_the_channels_is_refused_in_words(name: str) -> None:
    settings, shape = SPACES[name]
    space = ft.spaces.get(name, input_shape=shape, n_outputs=5, **settings)
    with pytest.raises(SpaceError, match="partial channels"):
        space.supernet(shape, 5, divisor=2)
