"""What sub-networks of the once-for-all MobileNetV3 are made of and compute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from foretell.graphs.computation import Canvas, Computations
from foretell.nets.drawings.mobile import squeeze_excite
from foretell.nets.drawings.ops import conv_bn

WIDTHS = (24, 40, 80, 112, 160)  # of the five stages
STRIDES = (2, 2, 2, 1, 2)
SQUEEZED = (False, True, False, True, True)
ACTS = ("relu", "relu", *["hard-swish"] * 3)
STEM, WIDE, MIXED = 16, 960, 1280


class Block(NamedTuple):
    """An inverted residual block; `wide` channels inside, `squeeze` inside its gate or 0."""

    channels: int
    wide: int
    out: int
    kernel: int
    stride: int
    act: str
    squeeze: int


class Plan(NamedTuple):
    """Channels of the stem, all blocks, channels of the two last convolutions."""

    stem: int
    blocks: tuple[Block, ...]
    wide: int
    mixed: int


def divisible(channels: float) -> int:
    """The multiple of 8 nearest to `channels`, not more than a tenth below it.

    >>> divisible(17), divisible(20), divisible(10.5)
    (16, 24, 16)
    """
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def plan(stages: Sequence[Sequence[tuple[int, int]]], width: float) -> Plan:
    """All sizes of the network whose stages have blocks of (kernel, expansion)."""
    stem = divisible(STEM * width)
    blocks = [Block(stem, stem, stem, 3, 1, "relu", 0)]
    for stage, out, stride, squeezed, act in zip(
        stages, WIDTHS, STRIDES, SQUEEZED, ACTS, strict=True
    ):
        for i, (kernel, expand) in enumerate(stage):
            channels = blocks[-1].out
            wide = divisible(channels * expand)
            squeeze = divisible(wide // 4) if squeezed else 0
            blocks.append(
                Block(
                    channels, wide, divisible(out * width), kernel, 1 if i else stride, act, squeeze
                )
            )
    return Plan(stem, tuple(blocks), divisible(WIDE * width), divisible(MIXED * width))


def draw(
    stages: Sequence[Sequence[tuple[int, int]]],
    resolution: int,
    width: float,
    image: tuple[int, int, int],
    n_outputs: int,
) -> Computations:
    """The graph of `foretell.nets.ofa.OFANet`."""
    shape, canvas = plan(stages, width), Canvas(*image)
    x = canvas.input
    if resolution and x[2:] != (resolution, resolution):
        size = (x.channels, resolution, resolution)
        x = canvas.vertex("resample", (x,), x[1:], size)
    x = canvas.each(conv_bn(canvas, x, shape.stem, 3, 2), "hard-swish")
    for block in shape.blocks:
        y = x
        if block.wide != block.channels:
            y = canvas.each(conv_bn(canvas, y, block.wide, 1), block.act)
        y = conv_bn(canvas, y, block.wide, block.kernel, block.stride, block.wide)
        y = canvas.each(y, block.act)
        if block.squeeze:
            y = squeeze_excite(canvas, y, block.squeeze, "hard-sigmoid")
        y = conv_bn(canvas, y, block.out, 1)
        same = block.stride == 1 and block.channels == block.out
        x = canvas.add(x, y) if same else y
    x = canvas.mean(canvas.each(conv_bn(canvas, x, shape.wide, 1), "hard-swish"))
    x = canvas.each(canvas.conv(x, shape.mixed, 1), "hard-swish")
    return canvas.done(canvas.linear(x, n_outputs))
