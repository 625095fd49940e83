"""Operations on images, one constructor each; `op` makes those of cells by published names."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from foretell.nets.supernet.elastic import Elastic, Size, alike, most
from foretell.nets.supernet.elastic_layers import (
    Cut,
    ElasticConv,
    ElasticLinear,
    ElasticNorm,
    Shared,
)


def conv_bn(
    c_in: Size, c_out: Size, kernel: Size, stride: int = 1, groups: Size = 1
) -> list[nn.Module]:
    """Convolution without bias, batch normalisation; of elastic numbers in a supernet."""
    if any(isinstance(size, Elastic) for size in (c_in, c_out, kernel)):
        norm = ElasticNorm(most(c_out))
        norm.size = c_out
        return [ElasticConv(c_in, c_out, kernel, stride, depthwise=groups != 1), norm]
    side, n = most(kernel), most(c_out)
    conv = nn.Conv2d(most(c_in), n, side, stride, side // 2, groups=most(groups), bias=False)
    return [conv, nn.BatchNorm2d(n)]


def conv(c_in: Size, c_out: Size) -> nn.Module:
    """1x1 convolution with an offset."""
    if isinstance(c_in, int) and isinstance(c_out, int):
        return nn.Conv2d(c_in, c_out, 1)
    return ElasticConv(c_in, c_out, 1, bias=True)


def linear(c_in: Size, c_out: Size) -> nn.Module:
    """Linear map with an offset."""
    if isinstance(c_in, int) and isinstance(c_out, int):
        return nn.Linear(c_in, c_out)
    return ElasticLinear(c_in, c_out)


def chained(layers: list[nn.Module], depth: Size) -> nn.Sequential:
    """Layers one after the other; with an elastic depth the first of them.

    >>> len(chained([nn.ReLU(), nn.ReLU()], 2))
    2
    """
    return (
        nn.Sequential(Cut(layers, depth)) if isinstance(depth, Elastic) else nn.Sequential(*layers)
    )


class Residual(nn.Module):
    """x + body(x)."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """Same shape in and out."""
        out: Tensor = x + self.body(x)
        return out


def around(body: nn.Module, c_in: Size, c_out: Size, stride: int = 1) -> nn.Module:
    """The body with a shortcut, where its stride is 1 and its channels are as many as they were.

    >>> type(around(nn.Identity(), 8, 8)).__name__, type(around(nn.Identity(), 8, 16)).__name__
    ('Residual', 'Identity')
    """
    same = stride == 1 and alike(c_in, c_out)
    if isinstance(same, Elastic):
        return Shared(body, c_in, same)
    return Residual(body) if same else body


def conv_bn_relu(c_in: int, c_out: int, kernel: int) -> nn.Sequential:
    """Convolution without bias, batch normalisation, ReLU."""
    return nn.Sequential(*conv_bn(c_in, c_out, kernel), nn.ReLU())


def relu_conv_bn(c_in: int, c_out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """ReLU, convolution without bias, batch normalisation."""
    return nn.Sequential(nn.ReLU(), *conv_bn(c_in, c_out, kernel, stride))


def depthwise(channels: int, kernel: int, stride: int = 1, dilation: int = 1) -> list[nn.Module]:
    """ReLU, one filter a channel, 1x1 convolution, batch normalisation."""
    padding = dilation * (kernel // 2)
    return [
        nn.ReLU(),
        nn.Conv2d(
            channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False
        ),
        *conv_bn(channels, channels, 1),
    ]


def sep_conv(channels: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Two depthwise separable convolutions."""
    return nn.Sequential(*depthwise(channels, kernel, stride), *depthwise(channels, kernel))


def dil_conv(channels: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """A depthwise separable convolution that reads every second pixel."""
    return nn.Sequential(*depthwise(channels, kernel, stride, dilation=2))


def max_pool(stride: int = 1) -> nn.MaxPool2d:
    """Maximum over 3 x 3 pixels."""
    return nn.MaxPool2d(3, stride=stride, padding=1)


def avg_pool(stride: int = 1) -> nn.AvgPool2d:
    """Mean over those of 3 x 3 pixels that are in the image."""
    return nn.AvgPool2d(3, stride=stride, padding=1, count_include_pad=False)


class Halve(nn.Module):
    """Half the size without losing pixels: two strided 1x1 convolutions, one shifted by a pixel."""

    def __init__(self, c_in: int, c_out: int, stride: int = 2) -> None:
        super().__init__()
        self.even = nn.Conv2d(c_in, c_out // 2, 1, stride, bias=False)
        self.odd = nn.Conv2d(c_in, c_out - c_out // 2, 1, stride, bias=False)
        self.norm = nn.BatchNorm2d(c_out)

    def forward(self, x: Tensor) -> Tensor:
        """The height and width over the stride, rounded up."""
        x = torch.relu(x)
        shifted = nn.functional.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        out: Tensor = self.norm(torch.cat([self.even(x), self.odd(shifted)], dim=1))
        return out


def skip(channels: int, stride: int = 1) -> nn.Module:
    """The identity, or half the size."""
    return nn.Identity() if stride == 1 else Halve(channels, channels)


def pooled(channels: int, n_outputs: int) -> list[nn.Module]:
    """Mean over the pixels, linear map: the end of a network."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, n_outputs)]


class Noise(nn.Module):
    """Standard normal numbers in the shape of the strided input, new ones in every pass."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Nothing of x but its shape; the gradient is 0."""
        x = x[:, :, :: self.stride, :: self.stride]
        return torch.randn_like(x) + 0.0 * x


_OPS: dict[str, Callable[[int, int], nn.Module]] = {
    # NAS-Bench-101
    "conv3x3-bn-relu": lambda c, stride: conv_bn_relu(c, c, 3),
    "conv1x1-bn-relu": lambda c, stride: conv_bn_relu(c, c, 1),
    "maxpool3x3": lambda c, stride: max_pool(stride),
    # NAS-Bench-201
    "nor_conv_1x1": lambda c, stride: relu_conv_bn(c, c, 1, stride),
    "nor_conv_3x3": lambda c, stride: relu_conv_bn(c, c, 3, stride),
    # DARTS; the first two are also of NAS-Bench-201
    "avg_pool_3x3": lambda c, stride: avg_pool(stride),
    "skip_connect": skip,
    "max_pool_3x3": lambda c, stride: max_pool(stride),
    "sep_conv_3x3": lambda c, stride: sep_conv(c, 3, stride),
    "sep_conv_5x5": lambda c, stride: sep_conv(c, 5, stride),
    "dil_conv_3x3": lambda c, stride: dil_conv(c, 3, stride),
    "noise": lambda c, stride: Noise(stride),  # of RobustDARTS
    "dil_conv_5x5": lambda c, stride: dil_conv(c, 5, stride),
}


def op(name: str, channels: int, stride: int = 1) -> nn.Module:
    """The operation of a cell: as many channels out as in; `stride` 2 halves the size.

    >>> [type(part).__name__ for part in op("nor_conv_3x3", 8)]
    ['ReLU', 'Conv2d', 'BatchNorm2d']
    """
    return _OPS[name](channels, stride)
