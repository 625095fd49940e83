"""What the network of the DARTS space computes."""

from __future__ import annotations

from collections.abc import Container, Sequence

from foretell.graphs.computation import Canvas, Computations, Value
from foretell.nets.drawings.ops import conv_bn, halve, op, pooled, relu_conv_bn

Terms = Sequence[tuple[int, str]]


def draw(
    cells: Sequence[Terms],
    image: tuple[int, int, int],
    n_outputs: int,
    channels: int,
    n_cells: int,
    reductions: Container[int],
) -> Computations:
    """The graph of `foretell.nets.nb301.NB301Net`."""
    canvas = Canvas(*image)
    older = newer = conv_bn(canvas, canvas.input, 3 * channels, 3)
    halved = False
    for k in range(n_cells):
        reduction = k in reductions
        channels *= 1 + reduction
        older, newer = (
            newer,
            _cell(canvas, older, newer, cells[reduction], channels, reduction, halved),
        )
        halved = reduction
    return canvas.done(pooled(canvas, newer, n_outputs))


def _cell(
    canvas: Canvas,
    older: Value,
    newer: Value,
    terms: Terms,
    channels: int,
    reduction: bool,
    halved: bool,
) -> Value:
    first = halve(canvas, older, channels) if halved else relu_conv_bn(canvas, older, channels, 1)
    nodes = [first, relu_conv_bn(canvas, newer, channels, 1)]
    for k in range(0, 8, 2):
        pair = [
            op(canvas, nodes[source], name, channels, 2 if reduction and source < 2 else 1)
            for source, name in terms[k : k + 2]
        ]
        nodes.append(canvas.add(*pair))
    return canvas.concat(nodes[2:])
