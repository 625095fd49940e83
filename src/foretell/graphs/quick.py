"""Sizes of the most common calls, which torch takes long to say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from foretell.graphs.calls import WORDS

_LIKE = frozenset(("relu", "sigmoid", "tanh", "swish", "hard-swish", "gelu", "relu6"))


def quick(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Sequence[int] | None:
    """Sizes of the result of a call on shapes; None where torch has to say them."""
    word = WORDS.get(name, "")
    x = args[0] if args else None
    if not isinstance(x, Tensor) or x.device.type != "meta":
        return None
    if word == "batch-norm":
        fits = all(v is None or v.shape == x.shape[1:2] for v in args[1:5])
        return x.shape if fits else None
    if name.startswith("adaptive_avg_pool") and len(args) == 2 and not kwargs:
        axes = int(name[-2])
        sides = args[1] if isinstance(args[1], (tuple, list)) else [args[1]] * axes
        whole = x.shape[x.ndim - axes :]
        return (*x.shape[: x.ndim - axes], *map(_or, sides, whole))
    if name == "mean" and not set(kwargs) - {"dim", "keepdim"}:
        return _without(x, *args[1:], **kwargs)
    if word in _LIKE and not kwargs.get("inplace"):
        return x.shape
    if name == "linear" and len(args) > 1:
        fits = x.shape[-1:] == args[1].shape[1:]
        return (*x.shape[:-1], args[1].shape[0]) if fits else None
    if word == "add" and len(args) == 2 and isinstance(args[1], Tensor):
        return x.shape if x.shape == args[1].shape and name == "add" else None
    if name == "conv2d" and len(args) == 7 and not isinstance(args[4], str):
        weight, stride, padding, dilation = args[1], args[3], args[4], args[5]
        if x.shape[-3] != weight.shape[1] * args[6]:
            return None
        spatial = (
            (side + 2 * _pair(padding)[i] - _pair(dilation)[i] * (weight.shape[2 + i] - 1) - 1)
            // _pair(stride)[i]
            + 1
            for i, side in enumerate(x.shape[-2:])
        )
        return (*x.shape[:-3], weight.shape[0], *spatial)
    return None


def _or(side: int | None, instead: int) -> int:
    return instead if side is None else side


def _without(x: Tensor, dim: Any = None, keepdim: bool = False) -> Sequence[int]:
    """Sizes without some axes, all of them by default."""
    axes = range(x.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    gone = {axis % x.ndim for axis in axes}
    sizes = [1 if i in gone else side for i, side in enumerate(x.shape)]
    return sizes if keepdim else [side for i, side in enumerate(sizes) if i not in gone]


def _pair(value: Any) -> tuple[int, int]:
    return tuple(value) * (2 // len(value)) if isinstance(value, (tuple, list)) else (value, value)
