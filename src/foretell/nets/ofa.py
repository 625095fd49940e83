"""Sub-networks of the once-for-all MobileNetV3, trained from scratch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from foretell.nets.drawings.ofa import Plan, plan
from foretell.nets.ops import around, chained, conv, conv_bn
from foretell.nets.supernet.elastic import Elastic, Size, now
from foretell.nets.supernet.mixed import Board, Supernet, untracked

_ACTS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "hard-swish": nn.Hardswish}


class OpenBlock(NamedTuple):
    """A `Block` whose numbers a supernet leaves open."""

    channels: int
    wide: Size
    out: int
    kernel: Size
    stride: int
    act: str
    squeeze: Size


class OFANet(nn.Module):
    """The images at a resolution, stem, MobileNetV3 blocks, two 1x1 convolutions, linear head.

    Args:
        shape: all sizes.
        resolution: side of the square that images are brought to; 0: as they are.
        in_channels: of the images.
        n_outputs: of the head.
        blocks: instead of those of the shape, where a supernet leaves numbers open.
        depths: of each stage, where a supernet leaves it open; the first block is in none.

    Shapes: (n, in_channels, h, w) to (n, n_outputs).

    References: Cai et al., Once-for-All, ICLR 2020; Howard et al., MobileNetV3, ICCV 2019.
    `Differs:` weights of its own, not those of the published supernet.
    """

    def __init__(
        self,
        shape: Plan,
        resolution: Size,
        in_channels: int,
        n_outputs: int,
        blocks: Sequence[OpenBlock] = (),
        depths: Sequence[Elastic] = (),
    ) -> None:
        super().__init__()
        self.resolution = resolution
        stem = shape.stem
        self.stem = nn.Sequential(*conv_bn(in_channels, stem, 3, 2), nn.Hardswish())
        layers = [_block(OpenBlock(*block)) for block in blocks or shape.blocks]
        if depths:
            first, *rest = layers
            most = len(rest) // len(depths)
            stages = [rest[i * most : (i + 1) * most] for i in range(len(depths))]
            layers = [first, *(chained(*one) for one in zip(stages, depths, strict=True))]
        self.blocks = nn.Sequential(*layers)
        last = shape.blocks[-1].out
        self.features = nn.Sequential(
            *conv_bn(last, shape.wide, 1), nn.Hardswish(), nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(shape.wide, shape.mixed, 1, bias=False), nn.Hardswish(),
        )  # fmt: skip
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(shape.mixed, n_outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Logits, or values of a regression; of several resolutions shown the largest."""
        side = now(self.resolution)
        if side:
            x = nn.functional.interpolate(x, size=(side, side), mode="bilinear", antialias=True)
        logits: Tensor = self.head(self.features(self.blocks(self.stem(x))))
        return logits


class Squeeze(nn.Module):
    """x * hard-sigmoid of a small network of the channels' means."""

    def __init__(self, channels: Size, inside: Size) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            conv(channels, inside),
            nn.ReLU(),
            conv(inside, channels),
            nn.Hardsigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Same shape in and out."""
        out: Tensor = x * self.gate(x)
        return out


def ofa_supernet(
    options: Sequence[Sequence[str]], stages: int, width: float, in_channels: int, n_outputs: int
) -> Supernet:
    """The network of all rows: largest kernels, channels and depths, of which each has a part.

    Args:
        options: of the sites: the resolution, then of each stage the depth, kernels, expansions.
        stages: how many.
        width: multiplies all channels.
        in_channels: of the images.
        n_outputs: of the head.

    References: Cai et al., Once-for-All, ICLR 2020.
    """
    board = Board(options)
    numbers = [[int(option) for option in site] for site in board.options]
    step = (len(numbers) - 1) // stages
    deepest = (step - 1) // 2
    shapes = [plan([[(3, e)] * deepest] * stages, width) for e in numbers[2 + deepest]]
    blocks = [OpenBlock(*shapes[0].blocks[0])]
    firsts = range(1, len(numbers), step)
    for first in firsts:
        for i in range(deepest):
            k, e = first + 1 + i, first + 1 + deepest + i
            sizes = [shape.blocks[len(blocks)] for shape in shapes]
            wide, inside = ([getattr(one, name) for one in sizes] for name in ("wide", "squeeze"))
            squeeze = Elastic(board, (e,), inside) if any(inside) else 0
            blocks.append(
                OpenBlock(*sizes[0])._replace(
                    wide=Elastic(board, (e,), wide, inner=True), squeeze=squeeze,
                    kernel=Elastic(board, (k,), numbers[k]),
                )
            )  # fmt: skip
    depths = [Elastic(board, (first,), numbers[first]) for first in firsts]
    resolution = Elastic(board, (0,), numbers[0])
    net = OFANet(shapes[0], resolution, in_channels, n_outputs, blocks, depths)
    return Supernet(untracked(net), board)


def _block(block: OpenBlock) -> nn.Module:
    act = _ACTS[block.act]
    layers: list[nn.Module] = []
    if block.wide != block.channels:
        layers += [*conv_bn(block.channels, block.wide, 1), act()]
    layers += [*conv_bn(block.wide, block.wide, block.kernel, block.stride, block.wide), act()]
    if block.squeeze:
        layers.append(Squeeze(block.wide, block.squeeze))
    body = nn.Sequential(*layers, *conv_bn(block.wide, block.out, 1))
    return around(body, block.channels, block.out, block.stride)
