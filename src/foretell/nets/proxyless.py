"""The network of the ProxylessNAS space: a chain of inverted residual blocks."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import nn

from foretell.nets.ops import Residual, conv_bn
from foretell.nets.supernet.mixed import NONE, mixed


class Block(NamedTuple):
    """Channels in and out, and stride; with a shortcut where neither changes."""

    c_in: int
    c_out: int
    stride: int

    @property
    def shortcut(self) -> bool:
        """Whether the block may be left out."""
        return self.stride == 1 and self.c_in == self.c_out


def mbconv(block: Block, kernel: int, expand: int) -> nn.Module:
    """1x1 convolution to `expand` times the channels, depthwise convolution, 1x1 convolution."""
    wide = block.c_in * expand
    layers: list[nn.Module] = []
    if expand > 1:
        layers += [*conv_bn(block.c_in, wide, 1), nn.ReLU6(inplace=True)]
    layers += [*conv_bn(wide, wide, kernel, block.stride, groups=wide), nn.ReLU6(inplace=True)]
    return nn.Sequential(*layers, *conv_bn(wide, block.c_out, 1))


def operation(name: str, block: Block) -> nn.Module:
    """Of a name like "5x5_MBConv6"; "none" is nothing.

    >>> len(operation("3x3_MBConv3", Block(8, 8, 1)))
    8
    """
    if name == NONE:
        return nn.Identity()
    kernel, _, expand = name.partition("x")[0], "", name[-1]
    return mbconv(block, int(kernel), int(expand))


def proxyless_net(
    in_channels: int,
    stem: tuple[int, int],
    first: int,
    blocks: Sequence[Block],
    options: Sequence[Any],
    features: int,
    n_outputs: int,
) -> nn.Module:
    """The network, or with `Options` in the place of names the supernet.

    Args:
        in_channels: of the images.
        stem: channels and stride of the first convolution.
        first: channels after the first, fixed block.
        blocks: that are searched.
        options: the operation of each.
        features: channels of the 1x1 convolution before the mean over pixels.
        n_outputs: of the last linear layer.
    """
    width, stride = stem
    net: OrderedDict[str, nn.Module] = OrderedDict()
    net["stem"] = nn.Sequential(*conv_bn(in_channels, width, 3, stride), nn.ReLU6(inplace=True))
    net["first"] = mbconv(Block(width, first, 1), 3, 1)
    for i, (block, option) in enumerate(zip(blocks, options, strict=True)):
        if isinstance(option, str) and option == NONE:
            continue
        body = mixed(option, functools.partial(operation, block=block))
        net[f"block{i}"] = Residual(body) if block.shortcut else body
    out = blocks[-1].c_out
    net["features"] = nn.Sequential(*conv_bn(out, features, 1), nn.ReLU6(inplace=True))
    net["pool"], net["flatten"] = nn.AdaptiveAvgPool2d(1), nn.Flatten()
    net["head"] = nn.Linear(features, n_outputs)
    return nn.Sequential(net)
