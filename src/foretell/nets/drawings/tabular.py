"""What networks of the `tabular` space compute."""

from __future__ import annotations

from collections.abc import Sequence

from foretell.graphs.computation import Canvas, Computations, Value

_ACTIVATIONS = {"relu": "relu", "silu": "swish", "tanh": "tanh"}
_NORMS = {"batch": "batch-norm", "layer": "norm"}


def draw(
    inputs: tuple[int, int, int],
    widths: Sequence[int],
    activation: str,
    norm: str,
    residual: bool,
    n_outputs: int,
) -> Computations:
    """The graph of `foretell.nets.tabular.mlp`; inputs are channels and two sides."""
    canvas = Canvas(*inputs)
    channels, h, w = inputs
    x = Value(canvas.input.vertex, channels * h * w, 1, 1)
    for i, width in enumerate(widths):
        y = canvas.linear(x, width)
        if norm in _NORMS:
            y = canvas.norm(y, _NORMS[norm])
        y = canvas.each(y, _ACTIVATIONS[activation])
        if residual and i:
            y = canvas.add(y, x if x.channels == width else canvas.linear(x, width, bias=False))
        x = y
    return canvas.done(canvas.linear(x, n_outputs))
