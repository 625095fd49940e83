"""A network with what is done to its inputs and outputs, as one module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn


class Whole(nn.Module):
    """f((x / c - mean) / std) s + m: takes what the data had, gives what the target had.

    x may be bytes or numbers; c is 255 where the data were bytes, else 1; s and m are the target's
    deviation and mean, 1 and 0 for classes. Features are normalised in float64, as for training.
    `network` is f alone. Where the data had channels last, or none, x may have them so too.

    Shapes: x (batch, *shape) to (batch, n_outputs): class scores, or values in the target's unit.
    """

    c: Tensor
    mean: Tensor
    std: Tensor
    s: Tensor
    m: Tensor

    def __init__(
        self, network: nn.Module, shape: Sequence[int], layout: str, **numbers: Tensor
    ) -> None:
        super().__init__()
        self.network, self.shape, self.layout = network, tuple(shape), layout
        for name, values in numbers.items():
            self.register_buffer(name, values)

    @classmethod
    def of(
        cls,
        network: nn.Module,
        inputs: Mapping[str, Any],
        shape: Sequence[int],
        *,
        bytes_inside: bool = True,
    ) -> Self:
        """Around a network.

        Args:
            network: from normalised inputs to class scores or standardised targets.
            inputs: `Data.input_spec()`.
            shape: of one input.
            bytes_inside: False: bytes have been divided before.
        """
        values = numbers(inputs, shape, bytes_inside=bytes_inside)
        layout = str(inputs.get("layout", "auto"))
        return cls(network, shape, layout, **values).train(network.training)

    def forward(self, x: Tensor) -> Tensor:
        """Same batch in and out."""
        if self.layout == "grey" and x.ndim == len(self.shape):
            x = x.unsqueeze(1)
        elif self.layout == "channels-last" and tuple(x.shape[1:]) != self.shape:
            x = x.movedim(-1, 1)
        x = (x.to(self.mean.dtype) / self.c - self.mean) / self.std
        out: Tensor = self.network(x.to(self.s.dtype)) * self.s + self.m
        return out


def numbers(
    inputs: Mapping[str, Any], shape: Sequence[int], *, bytes_inside: bool = True
) -> dict[str, Tensor]:
    """The buffers of `Whole` from `Data.input_spec()`; `mean` and `std` broadcast with inputs."""
    kind = torch.float64 if len(shape) == 1 else torch.float32
    inside = bytes_inside and inputs.get("bytes") and inputs.get("scale")
    target = inputs.get("target") or {}
    each = (-1, *(1 for _ in shape[1:]))
    return {
        "c": torch.tensor(float(inputs["scale"]) if inside else 1.0, dtype=kind),
        "mean": torch.tensor(inputs["mean"], dtype=kind).reshape(each),
        "std": torch.tensor(inputs["std"], dtype=kind).reshape(each),
        "s": torch.tensor(target.get("std") or [1.0], dtype=torch.float32),
        "m": torch.tensor(target.get("mean") or [0.0], dtype=torch.float32),
    }
