"""Networks of the `signal` space."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class Block(nn.Module):
    """relu(norm(conv(x))), with `residual` relu(norm(conv(x)) + W x); W is 1 x 1 where shapes
    differ, else the identity."""

    def __init__(self, channels: int, width: int, kernel: int, stride: int, residual: bool) -> None:
        super().__init__()
        conv = nn.Conv1d(channels, width, kernel, stride, padding=kernel // 2, bias=False)
        self.body = nn.Sequential(conv, nn.BatchNorm1d(width))
        self.skip: nn.Module | None = None
        if residual:
            same = channels == width and stride == 1
            skip = nn.Conv1d(channels, width, 1, stride, bias=False)
            self.skip = nn.Identity() if same else skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, channels, length) to (batch, width, ceil(length / stride))."""
        out: torch.Tensor = self.body(x)
        return torch.relu(out if self.skip is None else out + self.skip(x))


def convolutions(
    channels: int,
    widths: Sequence[int],
    kernels: Sequence[int],
    strides: Sequence[int],
    residual: bool,
    dropout: float,
    n_outputs: int,
) -> nn.Module:
    """Blocks, the mean over time, dropout and a linear layer; signals of any length."""
    blocks: list[nn.Module] = []
    for width, kernel, stride in zip(widths, kernels, strides, strict=True):
        blocks.append(Block(channels, width, kernel, stride, residual))
        channels = width
    head: list[nn.Module] = [nn.AdaptiveAvgPool1d(1), nn.Flatten()]
    if dropout:
        head.append(nn.Dropout(dropout))
    return nn.Sequential(*blocks, *head, nn.Linear(channels, n_outputs))
