"""The operations of `foretell.nets.ops`, drawn."""

from __future__ import annotations

from collections.abc import Callable

from foretell.graphs.computation import Canvas, Value


def conv_bn(
    canvas: Canvas, x: Value, channels: int, kernel: int, stride: int = 1, groups: int = 1
) -> Value:
    """Convolution without bias, batch normalisation."""
    return canvas.norm(canvas.conv(x, channels, kernel, stride, groups))


def conv_bn_relu(canvas: Canvas, x: Value, channels: int, kernel: int, stride: int = 1) -> Value:
    """Convolution without bias, batch normalisation, ReLU."""
    return canvas.relu(conv_bn(canvas, x, channels, kernel, stride))


def relu_conv_bn(canvas: Canvas, x: Value, channels: int, kernel: int, stride: int = 1) -> Value:
    """ReLU, convolution without bias, batch normalisation."""
    return conv_bn(canvas, canvas.relu(x), channels, kernel, stride)


def depthwise(canvas: Canvas, x: Value, kernel: int, stride: int = 1, dilation: int = 1) -> Value:
    """ReLU, one filter a channel, 1x1 convolution, batch normalisation."""
    c = x.channels
    x = canvas.conv(canvas.relu(x), c, kernel, stride, groups=c, dilation=dilation)
    return conv_bn(canvas, x, c, 1)


def sep_conv(canvas: Canvas, x: Value, kernel: int, stride: int = 1) -> Value:
    """Two depthwise separable convolutions."""
    return depthwise(canvas, depthwise(canvas, x, kernel, stride), kernel)


def pool(canvas: Canvas, x: Value, word: str, stride: int = 1) -> Value:
    """Pooling over 3 x 3 places."""
    return canvas.pool(x, word, 3, stride, 1)


def halve(canvas: Canvas, x: Value, channels: int, stride: int = 2) -> Value:
    """Half the size without losing pixels."""
    x = canvas.relu(x)
    shifted = canvas.pad(x, 1, 1)._replace(height=x.height, width=x.width)
    even = canvas.conv(x, channels // 2, 1, stride)
    odd = canvas.conv(shifted, channels - channels // 2, 1, stride)
    return canvas.norm(canvas.concat([even, odd]))


def noise(canvas: Canvas, x: Value, stride: int) -> Value:
    """Random numbers in the shape of the strided input, plus 0 times it."""
    thin = x._replace(height=-(-x.height // stride), width=-(-x.width // stride))
    return canvas.add(canvas.each(thin, "other"), canvas.each(thin, "mul"))


def pooled(canvas: Canvas, x: Value, n_outputs: int) -> Value:
    """Mean over the pixels, linear map."""
    return canvas.linear(canvas.mean(x), n_outputs)


OPS: dict[str, Callable[[Canvas, Value, int, int], Value]] = {
    "conv3x3-bn-relu": lambda canvas, x, c, stride: conv_bn_relu(canvas, x, c, 3),
    "conv1x1-bn-relu": lambda canvas, x, c, stride: conv_bn_relu(canvas, x, c, 1),
    "maxpool3x3": lambda canvas, x, c, stride: pool(canvas, x, "max-pool", stride),
    "nor_conv_1x1": lambda canvas, x, c, stride: relu_conv_bn(canvas, x, c, 1, stride),
    "nor_conv_3x3": lambda canvas, x, c, stride: relu_conv_bn(canvas, x, c, 3, stride),
    "avg_pool_3x3": lambda canvas, x, c, stride: pool(canvas, x, "avg-pool", stride),
    "skip_connect": lambda canvas, x, c, stride: x if stride == 1 else halve(canvas, x, c),
    "max_pool_3x3": lambda canvas, x, c, stride: pool(canvas, x, "max-pool", stride),
    "sep_conv_3x3": lambda canvas, x, c, stride: sep_conv(canvas, x, 3, stride),
    "sep_conv_5x5": lambda canvas, x, c, stride: sep_conv(canvas, x, 5, stride),
    "noise": lambda canvas, x, c, stride: noise(canvas, x, stride),
    "dil_conv_3x3": lambda canvas, x, c, stride: depthwise(canvas, x, 3, stride, 2),
    "dil_conv_5x5": lambda canvas, x, c, stride: depthwise(canvas, x, 5, stride, 2),
}


def op(canvas: Canvas, x: Value, name: str, channels: int, stride: int = 1) -> Value:
    """The operation of a cell by its published name."""
    return OPS[name](canvas, x, channels, stride)
