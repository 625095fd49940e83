"""What networks of the `mobile` space compute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from foretell.graphs.computation import Canvas, Computations, Value
from foretell.nets.drawings.ops import conv_bn, pooled


class Stage(NamedTuple):
    """A run of blocks of one kind; the first of them changes channels and resolution.

    `op` is "conv", "ds", "fused" or "mbconv"; `expand` multiplies the channels inside of the last
    two; `squeeze` is the share of a block's input channels inside squeeze-excitation, 0 for none.
    """

    op: str
    depth: int
    kernel: int
    expand: int
    channels: int
    squeeze: float
    stride: int


def draw(
    image: tuple[int, int, int],
    stem: tuple[int, int],
    stages: Sequence[Stage],
    head_channels: int,
    n_outputs: int,
) -> Computations:
    """The graph of `foretell.nets.mobile.mobile_net`."""
    canvas = Canvas(*image)
    channels, stride = stem
    x = _conv(canvas, canvas.input, channels, max(3, 2 * stride - 1), stride)
    for stage in stages:
        for i in range(stage.depth):
            x = _block(canvas, x, stage, stage.stride if i == 0 else 1)
    return canvas.done(pooled(canvas, _conv(canvas, x, head_channels, 1), n_outputs))


def squeeze_excite(canvas: Canvas, x: Value, inside: int, gate: str = "sigmoid") -> Value:
    """x * gate(x): each channel scaled by a small network of the channels' means."""
    means = canvas.relu(canvas.conv(canvas.mean(x), inside, 1, bias=True))
    scale = canvas.conv(means, x.channels, 1, bias=True)
    return canvas.mul(x, canvas.each(scale, gate))


def _block(canvas: Canvas, x: Value, stage: Stage, stride: int) -> Value:
    came, out, kernel = x, stage.channels, stage.kernel
    wide = x.channels * stage.expand
    if stage.op == "conv":
        y = _conv(canvas, x, out, kernel, stride)
    elif stage.op == "fused":
        y = _conv(canvas, x, wide, kernel, stride)
    elif stage.op == "ds":
        y = _conv(canvas, x, x.channels, kernel, stride, groups=x.channels)
    else:
        y = _conv(canvas, x, wide, 1)
        y = _conv(canvas, y, wide, kernel, stride, groups=wide)
    if stage.squeeze:
        y = squeeze_excite(canvas, y, max(4, int(x.channels * stage.squeeze)))
    if stage.op != "conv":
        y = conv_bn(canvas, y, out, 1)
    return canvas.add(came, y) if stride == 1 and came.channels == out else y


def _conv(
    canvas: Canvas, x: Value, out: int, kernel: int, stride: int = 1, groups: int = 1
) -> Value:
    return canvas.relu(conv_bn(canvas, x, out, kernel, stride, groups))
