"""Networks of the `mobile` space: stem, stages of like blocks, head."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import nn

from foretell.nets.drawings.mobile import Stage
from foretell.nets.ops import conv_bn

__all__ = ["Stage", "mobile_net"]


def mobile_net(
    in_channels: int,
    stem: tuple[int, int],
    stages: Sequence[Stage],
    head_channels: int,
    n_outputs: int,
) -> nn.Module:
    """The network: (batch, in_channels, height, width) to (batch, n_outputs).

    Args:
        in_channels: of the images.
        stem: channels and stride of the first convolution.
        stages: from input to output.
        head_channels: of the 1x1 convolution before the global average.
        n_outputs: of the last, linear layer.
    """
    channels, stride = stem
    kernel = max(3, 2 * stride - 1)  # every pixel is read
    net: OrderedDict[str, nn.Module] = OrderedDict()
    net["stem"] = _conv(in_channels, channels, kernel, stride)
    for number, stage in enumerate(stages, start=1):
        blocks = []
        for i in range(stage.depth):
            blocks.append(_block(stage, channels, stage.stride if i == 0 else 1))
            channels = stage.channels
        net[f"stage{number}"] = nn.Sequential(*blocks)
    net["features"] = _conv(channels, head_channels, 1)
    net["pool"] = nn.AdaptiveAvgPool2d(1)
    net["flatten"] = nn.Flatten()
    net["head"] = nn.Linear(head_channels, n_outputs)
    return nn.Sequential(net)


class Residual(nn.Module):
    """x + body(x)."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same shape in and out."""
        out: torch.Tensor = x + self.body(x)
        return out


class SqueezeExcite(nn.Module):
    """x * gate(x): each channel scaled by a small network of the channels' means.

    References: Hu et al., Squeeze-and-Excitation Networks, CVPR 2018.
    """

    def __init__(self, channels: int, inside: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, inside, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(inside, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same shape in and out."""
        out: torch.Tensor = x * self.gate(x)
        return out


def _block(stage: Stage, channels: int, stride: int) -> nn.Module:
    out, kernel = stage.channels, stage.kernel
    wide = channels * stage.expand
    if stage.op == "conv":
        layers = [_conv(channels, out, kernel, stride)]
        wide = out
    elif stage.op == "fused":
        layers = [_conv(channels, wide, kernel, stride)]
    elif stage.op == "ds":
        layers = [_conv(channels, channels, kernel, stride, groups=channels)]
        wide = channels
    else:
        layers = [_conv(channels, wide, 1), _conv(wide, wide, kernel, stride, groups=wide)]
    if stage.squeeze:
        layers.append(SqueezeExcite(wide, max(4, int(channels * stage.squeeze))))
    if stage.op != "conv":
        layers.append(_conv(wide, out, 1, act=False))
    body = nn.Sequential(*layers)
    return Residual(body) if stride == 1 and channels == out else body


def _conv(
    channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1, act: bool = True
) -> nn.Module:
    layers = conv_bn(channels, out, kernel, stride, groups)
    if act:
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)
