"""What networks of the `signal` space compute."""

from __future__ import annotations

from collections.abc import Sequence

from foretell.graphs.computation import Canvas, Computations, Value


def draw(
    inputs: tuple[int, int],
    widths: Sequence[int],
    kernels: Sequence[int],
    strides: Sequence[int],
    residual: bool,
    n_outputs: int,
) -> Computations:
    """The graph of `foretell.nets.signal.convolutions`; inputs are channels and length."""
    channels, length = inputs
    canvas = Canvas(length, channels)  # what stands last before a layer says otherwise
    x = Value(canvas.input.vertex, channels, length, 1)
    for width, kernel, stride in zip(widths, kernels, strides, strict=True):
        y = canvas.norm(canvas.conv(x, width, kernel, stride, axes=1))
        if residual:
            same = x.channels == width and stride == 1
            y = canvas.add(y, x if same else canvas.conv(x, width, 1, stride, axes=1))
        x = canvas.relu(y)
    return canvas.done(canvas.linear(canvas.mean(x), n_outputs))
