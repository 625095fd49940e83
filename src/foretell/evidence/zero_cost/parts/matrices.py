"""Correlations, and gradients of single examples."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from foretell.evidence.zero_cost.parts.watch import Layer


def correlation(rows: Tensor) -> Tensor:
    """Correlation matrices (..., n, n) of rows (..., n, f); 0 with a row that is constant.

    >>> correlation(torch.tensor([[1.0, 2.0], [2.0, 4.0], [3.0, 3.0]])).round(decimals=3).tolist()
    [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    centred = rows - rows.mean(dim=-1, keepdim=True)
    norm = centred.norm(dim=-1, keepdim=True)
    unit = torch.where(norm > 0, centred / norm.clamp_min(torch.finfo(rows.dtype).tiny), 0.0)
    return (unit @ unit.mT).clamp(-1, 1)


def per_example(layer: Layer, back: Tensor) -> Tensor:
    """Gradients (n, weights) by the weights of a layer, of each example.

    Args:
        layer: as it was called.
        back: gradient by its output.
    """
    u, g = _columns(layer), _rows(layer, back)
    return torch.einsum("ngop,ngip->ngoi", g, u).flatten(1)


def chosen(layer: Layer, backs: Sequence[Tensor], count: int) -> list[Tensor]:
    """Those of `per_example` at `count` weights, evenly taken, (n, count) or fewer of each back."""
    u = _columns(layer)
    inner, outer = u.shape[2], layer.weight.shape[0] // layer.groups
    total = layer.groups * outer * inner
    at = torch.linspace(0, total - 1, min(count, total), device=u.device).long()
    group, place = at // (outer * inner), at % (outer * inner)
    read = u[:, group, place % inner]
    return [(_rows(layer, g)[:, group, place // inner] * read).sum(dim=2) for g in backs]


def _columns(layer: Layer) -> Tensor:
    """What each position of the output reads, (n, groups, inputs x kernel, positions)."""
    x = layer.input.detach()
    n = len(x)
    if layer.dims == 0:
        return x.reshape(n, 1, -1, x.shape[-1]).mT
    if layer.dims == 3:
        return _volumes(layer)
    shape = (layer.weight.shape[2:], layer.dilation, layer.padding, layer.stride)
    if layer.dims == 1:
        x = x[:, :, None]
        kernel, dilation, padding, stride = (
            (a, *rest) for a, rest in zip((1, 1, 0, 1), shape, strict=True)
        )
    else:
        kernel, dilation, padding, stride = map(tuple, shape)
    columns = functional.unfold(x, kernel, dilation, padding, stride)
    return columns.view(n, layer.groups, -1, columns.shape[-1])


def _volumes(layer: Layer) -> Tensor:
    """The same of a convolution of three dimensions: by its windows, strides and dilations."""
    x = layer.input.detach()
    pads = [size for one in reversed(layer.padding) for size in (one, one)]
    x = functional.pad(x, pads)
    for k, (size, step, wide) in enumerate(
        zip(layer.weight.shape[2:], layer.stride, layer.dilation, strict=True)
    ):
        x = x.unfold(2 + k, wide * (size - 1) + 1, step)[..., ::wide]
    n, c = x.shape[:2]
    x = x.permute(0, 1, 5, 6, 7, 2, 3, 4).reshape(n, c, *layer.weight.shape[2:], -1)
    return x.reshape(n, layer.groups, -1, x.shape[-1])


def _rows(layer: Layer, back: Tensor) -> Tensor:
    """The gradient by the output, (n, groups, outputs, positions)."""
    n = len(back)
    if layer.dims == 0:
        return back.reshape(n, 1, -1, back.shape[-1]).mT
    return back.reshape(n, layer.groups, -1, back[0, 0].numel())
