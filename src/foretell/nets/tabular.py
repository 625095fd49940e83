"""Networks of the `tabular` space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from foretell.nets.ops import linear
from foretell.nets.supernet.elastic import Elastic, Size, most
from foretell.nets.supernet.elastic_layers import Cut, ElasticLinear
from foretell.nets.supernet.mixed import mixed

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}
NORMS: dict[str, type[nn.Module]] = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}


class Shortcut(nn.Module):
    """body(x) + x, or body(x) + W x where the widths differ."""

    def __init__(self, body: nn.Module, features: int, out: int) -> None:
        super().__init__()
        self.body = body
        self.skip = nn.Identity() if features == out else nn.Linear(features, out, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, features) to (batch, out)."""
        out: torch.Tensor = self.body(x) + self.skip(x)
        return out


def mlp(
    features: int,
    widths: Sequence[Size],
    activation: Any,
    norm: str,
    dropout: float,
    residual: bool,
    n_outputs: int,
    depth: Size | None = None,
) -> nn.Module:
    """Layers of linear, norm, activation and dropout, then a linear one.

    With `residual`, all hidden layers but the first have a shortcut. (batch, ...) inputs are
    flattened to (batch, features). `depth` is the number of widths, or elastic in a supernet.
    """
    layers: list[nn.Module] = []
    came: Size = features
    for i, width in enumerate(widths):
        body: list[nn.Module] = [linear(came, width)]
        if norm in NORMS:
            body.append(NORMS[norm](most(width)))
        body.append(mixed(activation, lambda name: ACTIVATIONS[name]()))
        if dropout:
            body.append(nn.Dropout(dropout))
        layer = nn.Sequential(*body)
        layers.append(Shortcut(layer, most(came), most(width)) if residual and i else layer)
        came = width
    if isinstance(depth, Elastic):
        cut = Cut(layers, depth, widths)  # which weighs units by their width
        return nn.Sequential(nn.Flatten(), cut, ElasticLinear(most(came), n_outputs))
    return nn.Sequential(nn.Flatten(), *layers, linear(came, n_outputs))
