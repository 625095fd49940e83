"""What the network of NAS-Bench-101 computes."""

from __future__ import annotations

from collections.abc import Sequence

from foretell.graphs.computation import Canvas, Computations, Value
from foretell.nets.drawings.ops import conv_bn_relu, op, pooled


def draw(
    edges: Sequence[tuple[int, int]],
    ops: Sequence[str],
    widths: Sequence[Sequence[int]],
    image: tuple[int, int, int],
    n_outputs: int,
    n_cells: int,
) -> Computations:
    """The graph of `foretell.nets.nb101.NB101Net`.

    >>> graph = draw([(0, 1)], [], [[0, 8]], (3, 8, 8), 2, 1)
    >>> graph.n, len(graph.ops)  # input, twice convolution, norm and ReLU, mean, linear, output
    (1, 10)
    """
    canvas = Canvas(*image)
    x = conv_bn_relu(canvas, canvas.input, widths[0][-1], 3)
    last = len(widths[0]) - 1
    sources = {v: [i for i, j in edges if j == v] for v in range(1, last + 1)}
    for stack, width in enumerate(widths):
        if stack:
            x = canvas.pool(x, "max-pool", 2, 2, ceil=True)
        for _ in range(n_cells):
            x = _cell(canvas, x, sources, ops, width)
    return canvas.done(pooled(canvas, x, n_outputs))


def _cell(
    canvas: Canvas,
    x: Value,
    sources: dict[int, list[int]],
    ops: Sequence[str],
    width: Sequence[int],
) -> Value:
    values: dict[int, Value] = {}
    last = len(width) - 1
    for v in range(1, last):
        c = width[v]
        if not c:
            continue
        terms = [values[u]._replace(channels=c) for u in sources[v] if u]
        if 0 in sources[v]:
            terms.append(conv_bn_relu(canvas, x, c, 1))
        values[v] = op(canvas, canvas.add(*terms), ops[v - 1], c)
    inner = [values[u] for u in sources[last] if u]
    parts = [canvas.concat(inner) if len(inner) > 1 else inner[0]] if inner else []
    if 0 in sources[last]:
        parts.append(conv_bn_relu(canvas, x, width[last], 1))
    return canvas.add(*parts)
