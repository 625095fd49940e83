"""What a network does while it runs: each convolution, linear map, activation, normalisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_CONVOLUTIONS = {torch.conv1d: 1, torch.conv2d: 2, torch.conv3d: 3}
# piecewise linear, or a smooth version of what is: their inputs' signs are the regions
_ACTIVATIONS = {
    *(torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, functional.relu, functional.relu6),
    *(functional.leaky_relu, functional.elu, functional.celu, functional.selu, functional.gelu),
    *(functional.silu, functional.mish, functional.hardswish, functional.prelu),
    *(functional.rrelu, functional.softplus, functional.hardtanh),
}
_RELUS = {torch.relu, Tensor.relu, functional.relu}
_POOLINGS = {
    *(functional.adaptive_avg_pool1d, functional.adaptive_avg_pool2d),
    *(torch.adaptive_avg_pool1d, functional.adaptive_avg_pool3d),
}


class Layer(NamedTuple):
    """A convolution or a linear map as it was called."""

    input: Tensor
    weight: Tensor
    output: Tensor
    dims: int  # of space: 0 for a linear map
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    groups: int = 1


class Watch(TorchFunctionMode):
    """While it is entered, what is called by name in torch, as a module or as a function.

    Args:
        on_layer: told of each convolution and linear map after it.
        on_activation: told what each activation gets.
        on_pooling: told what each global pooling gets.
        normalise: computes batch normalisation instead of torch: given what `functional.batch_norm`
            is.
        rectify: computes ReLU instead of torch.
    """

    def __init__(
        self,
        on_layer: Callable[[Layer], object] | None = None,
        on_activation: Callable[[Tensor], object] | None = None,
        on_pooling: Callable[[Tensor], object] | None = None,
        normalise: Callable[..., Tensor] | None = None,
        rectify: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.on_layer = on_layer
        self.on_activation = on_activation
        self.on_pooling = on_pooling
        self.normalise = normalise
        self.rectify = rectify

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is functional.batch_norm and self.normalise is not None:
            return self.normalise(*args, **kwargs)
        if func in _ACTIVATIONS and self.on_activation is not None:
            self.on_activation(args[0] if args else kwargs["input"])
        elif func in _POOLINGS and self.on_pooling is not None:
            self.on_pooling(args[0] if args else kwargs["input"])
        if func in _RELUS and self.rectify is not None:
            return self.rectify(args[0] if args else kwargs["input"])
        out = func(*args, **kwargs)
        if self.on_layer is not None and (func in _CONVOLUTIONS or func is functional.linear):
            self.on_layer(_layer(func, out, *args, **kwargs))
        return out


def _layer(
    func: Any,
    out: Tensor,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Layer:
    dims = _CONVOLUTIONS.get(func, 0)
    kernel = weight.shape[2:]
    stride, dilation = _each(stride, dims), _each(dilation, dims)
    if padding == "same":
        padding = tuple(d * (k - 1) // 2 for d, k in zip(dilation, kernel, strict=True))
    elif padding == "valid":
        padding = 0
    return Layer(input, weight, out, dims, stride, _each(padding, dims), dilation, groups)


def _each(value: Any, dims: int) -> tuple[int, ...]:
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return values if len(values) == dims else values * dims
