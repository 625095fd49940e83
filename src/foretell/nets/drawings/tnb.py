"""What the networks of TransNAS-Bench-101 compute."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from foretell.graphs.computation import Canvas, Computations, Value
from foretell.nets.drawings.ops import conv_bn, halve, pooled, relu_conv_bn

Terms = Sequence[tuple[int, int, str]]
Block = Callable[[Canvas, Value, int, int], Value]


def draw(
    modules: Sequence[int],
    block: Block,
    image: tuple[int, int, int],
    n_outputs: int,
    channels: int,
) -> Computations:
    """The graph of `foretell.nets.tnb.TNBNet`."""
    canvas = Canvas(*image)
    x = conv_bn(canvas, canvas.input, channels // 2, 3, 2)
    x = relu_conv_bn(canvas, x, channels, 3, 2)
    for module in modules:
        wide = x.channels * (2 if module % 2 == 0 else 1)
        x = block(canvas, x, wide, 2 if module > 2 else 1)
        x = block(canvas, x, wide, 1)
    return canvas.done(pooled(canvas, x, n_outputs))


def cell(terms: Terms) -> Block:
    """A block that is `foretell.nets.tnb.Cell`."""

    def block(canvas: Canvas, x: Value, channels: int, stride: int) -> Value:
        nodes = {0: x}
        for i, j, name in terms:
            step = stride if i == 0 else 1
            term = nodes[i]
            if name != "skip_connect":
                term = relu_conv_bn(canvas, term, channels, int(name[-1]), step)
            elif term.channels != channels or step > 1:
                term = halve(canvas, term, channels, step)
            nodes[j] = canvas.add(nodes[j], term) if j in nodes else term
        if 3 in nodes:
            return nodes[3]
        h, w = -(-x.height // stride), -(-x.width // stride)
        thin = Value(x.vertex, 1, h, w)
        return canvas.zero(thin)._replace(channels=channels)

    return block


def basic(canvas: Canvas, x: Value, channels: int, stride: int) -> Value:
    """`foretell.nets.tnb.Basic`."""
    body = relu_conv_bn(canvas, relu_conv_bn(canvas, x, channels, 3, stride), channels, 3)
    same = x.channels == channels and stride == 1
    return canvas.add(x if same else conv_bn(canvas, x, channels, 1, stride), body)
