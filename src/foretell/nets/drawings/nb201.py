"""What the network of NAS-Bench-201 computes."""

from __future__ import annotations

from collections.abc import Sequence

from foretell.graphs.computation import Canvas, Computations, Value
from foretell.nets.drawings.ops import conv_bn, op, pooled, relu_conv_bn

Terms = Sequence[tuple[int, int, str]]


def draw(
    terms: Terms, image: tuple[int, int, int], n_outputs: int, channels: int, n_cells: int
) -> Computations:
    """The graph of `foretell.nets.nb201.NB201Net`.

    >>> int(draw([(0, 3, "nor_conv_3x3")], (3, 32, 32), 10, 16, 5).params.sum())
    316346
    """
    canvas = Canvas(*image)
    x = conv_bn(canvas, canvas.input, channels, 3)
    for stage in range(3):
        if stage:
            x = _reduction(canvas, x)
        for _ in range(n_cells):
            x = _cell(canvas, x, terms)
    return canvas.done(pooled(canvas, canvas.relu(canvas.norm(x)), n_outputs))


def _cell(canvas: Canvas, x: Value, terms: Terms) -> Value:
    nodes, pooled = {0: x}, dict[int, Value]()
    for i, j, name in terms:
        if name == "avg_pool_3x3" and i in pooled:
            term = pooled[i]
        else:
            term = op(canvas, nodes[i], name, x.channels)
        if name == "avg_pool_3x3":
            pooled[i] = term
        nodes[j] = canvas.add(nodes[j], term) if j in nodes else term
    return nodes[3] if 3 in nodes else canvas.zero(x)


def _reduction(canvas: Canvas, x: Value) -> Value:
    c = 2 * x.channels
    shortcut = canvas.conv(canvas.pool(x, "avg-pool", 2, 2, ceil=True), c, 1)
    body = relu_conv_bn(canvas, relu_conv_bn(canvas, x, c, 3, stride=2), c, 3)
    return canvas.add(shortcut, body)
