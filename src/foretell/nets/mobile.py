"""Networks of the `mobile` space: stem, stages of like blocks, head."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from foretell.nets.drawings.mobile import Stage
from foretell.nets.ops import around, chained, conv, conv_bn
from foretell.nets.supernet.elastic import Size, most, of, times
from foretell.nets.supernet.mixed import Options, mixed

__all__ = ["OpenStage", "Stage", "mobile_net"]


class OpenStage(NamedTuple):
    """A `Stage` whose numbers a supernet leaves open; kind and squeeze are `Options` there."""

    op: Any
    depth: Size
    kernel: Size
    expand: Size
    channels: Size
    squeeze: Any
    stride: int


def mobile_net(
    in_channels: int,
    stem: tuple[int, int],
    stages: Sequence[Stage | OpenStage],
    head_channels: int,
    n_outputs: int,
) -> nn.Module:
    """The network: (batch, in_channels, height, width) to (batch, n_outputs).

    With numbers that are open it is a supernet: kinds of blocks side by side, each of the largest
    size, of which rows have a part.

    Args:
        in_channels: of the images.
        stem: channels and stride of the first convolution.
        stages: from input to output.
        head_channels: of the 1x1 convolution before the global average.
        n_outputs: of the last, linear layer.
    """
    channels: Size
    channels, stride = stem
    kernel = max(3, 2 * stride - 1)  # every pixel is read
    net: OrderedDict[str, nn.Module] = OrderedDict()
    net["stem"] = _conv(in_channels, channels, kernel, stride)
    for number, stage in enumerate(stages, start=1):
        make = functools.partial(_stage, OpenStage(*stage), channels)
        net[f"stage{number}"] = mixed(stage.op, make)
        channels = stage.channels
    net["features"] = _conv(channels, head_channels, 1)
    net["pool"] = nn.AdaptiveAvgPool2d(1)
    net["flatten"] = nn.Flatten()
    net["head"] = nn.Linear(head_channels, n_outputs)
    return nn.Sequential(net)


class SqueezeExcite(nn.Module):
    """x * gate(x): each channel scaled by a small network of the channels' means.

    References: Hu et al., Squeeze-and-Excitation Networks, CVPR 2018.
    """

    def __init__(self, channels: Size, inside: Size) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            conv(channels, inside),
            nn.ReLU(inplace=True),
            conv(inside, channels),
            nn.Sigmoid(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same shape in and out."""
        out: torch.Tensor = x * self.gate(x)
        return out


def _stage(stage: OpenStage, channels: Size, op: str) -> nn.Sequential:
    """All blocks of a kind; the first changes channels and resolution."""
    blocks = []
    for i in range(most(stage.depth)):
        blocks.append(_block(stage, op, channels, stage.stride if i == 0 else 1))
        channels = stage.channels
    return chained(blocks, stage.depth)


def _block(stage: OpenStage, op: str, channels: Size, stride: int) -> nn.Module:
    out, kernel = stage.channels, stage.kernel
    wide = times(channels, stage.expand)
    if op == "conv":
        layers = [_conv(channels, out, _usual(kernel), stride)]
        wide = out
    elif op == "fused":
        layers = [_conv(channels, wide, _usual(kernel), stride)]
    elif op == "ds":
        layers = [_conv(channels, channels, kernel, stride, groups=channels)]
        wide = channels
    else:
        layers = [_conv(channels, wide, 1), _conv(wide, wide, kernel, stride, groups=wide)]
    if isinstance(stage.squeeze, Options) or stage.squeeze:
        layers.append(mixed(stage.squeeze, functools.partial(_squeeze, wide, channels)))
    if op != "conv":
        layers.append(_conv(wide, out, 1, act=False))
    return around(nn.Sequential(*layers), channels, out, stride)


def _usual(kernel: Size) -> int:
    """Of dense convolutions, for which no row decides it."""
    return kernel if isinstance(kernel, int) else 3


def _squeeze(wide: Size, channels: Size, share: float) -> nn.Module:
    return (
        SqueezeExcite(wide, of(lambda c: max(4, int(c * share)), channels))
        if share
        else nn.Identity()
    )


def _conv(
    channels: Size, out: Size, kernel: Size, stride: int = 1, groups: Size = 1, act: bool = True
) -> nn.Module:
    layers = conv_bn(channels, out, kernel, stride, groups)
    if act:
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)
