"""The network of the DARTS space."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from foretell.spaces.nb301 import OPS, reductions

Cells = Sequence[Sequence[tuple[int, int]]]  # normal, reduction: source and operation, two a node


class NB301Net(nn.Module):
    """Stem, cells of which two halve the size, mean over pixels, linear head.

    Args:
        cells: of the normal and the reduction cell, source and operation of 4 x 2 terms.
        in_channels: of the images.
        n_outputs: of the last linear layer.
        channels: of the first cells.
        n_cells: cells.

    Shapes: (n, in_channels, h, w) to (n, n_outputs), any h and w.

    References: Liu et al., DARTS, ICLR 2019. `Differs:` without auxiliary head and drop path,
    which belong to its training; odd sizes are halved rounding up.
    """

    def __init__(
        self, cells: Cells, in_channels: int, n_outputs: int, channels: int, n_cells: int
    ) -> None:
        super().__init__()
        before = previous = 3 * channels
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, previous, 3, padding=1, bias=False), nn.BatchNorm2d(previous)
        )
        self.cells = nn.ModuleList()
        halved = False
        for k in range(n_cells):
            reduction = k in reductions(n_cells)
            channels *= 1 + reduction
            self.cells.append(Cell(cells[reduction], before, previous, channels, reduction, halved))
            before, previous, halved = previous, 4 * channels, reduction
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(previous, n_outputs)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits, or values of a regression."""
        older = newer = self.stem(x)
        for cell in self.cells:
            older, newer = newer, cell(older, newer)
        logits: Tensor = self.head(newer)
        return logits


class Cell(nn.Module):
    """Four nodes, each the sum of two operations on earlier ones; all are joined.

    Args:
        terms: source and operation of each term, two a node.
        before, previous: channels of the two inputs.
        channels: of each node.
        reduction: whether operations on the inputs halve the size.
        halved: whether the older input is twice as large as the newer one.
    """

    def __init__(
        self,
        terms: Sequence[tuple[int, int]],
        before: int,
        previous: int,
        channels: int,
        reduction: bool,
        halved: bool,
    ) -> None:
        super().__init__()
        self.older = Halve(before, channels) if halved else _conv(before, channels)
        self.newer = _conv(previous, channels)
        self.sources = [source for source, _ in terms]
        self.ops = nn.ModuleList(
            _op(OPS[op], channels, 2 if reduction and source < 2 else 1) for source, op in terms
        )

    def forward(self, older: Tensor, newer: Tensor) -> Tensor:
        """The joined nodes, four times as many channels."""
        nodes = [self.older(older), self.newer(newer)]
        for k in range(0, 8, 2):
            first, second = (self.ops[i](nodes[self.sources[i]]) for i in (k, k + 1))
            nodes.append(first + second)
        return torch.cat(nodes[2:], dim=1)


class Halve(nn.Module):
    """Half the size without losing pixels: two strided 1x1 convolutions, one shifted by a pixel."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.even = nn.Conv2d(c_in, c_out // 2, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(c_in, c_out - c_out // 2, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(c_out)

    def forward(self, x: Tensor) -> Tensor:
        """Half the height and width, rounded up."""
        x = torch.relu(x)
        shifted = nn.functional.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        out: Tensor = self.norm(torch.cat([self.even(x), self.odd(shifted)], dim=1))
        return out


def _conv(c_in: int, c_out: int) -> nn.Sequential:
    return nn.Sequential(nn.ReLU(), nn.Conv2d(c_in, c_out, 1, bias=False), nn.BatchNorm2d(c_out))


def _depthwise(c: int, kernel: int, stride: int, dilation: int) -> list[nn.Module]:
    """ReLU, one filter a channel, 1x1 convolution, batch normalisation."""
    padding = dilation * (kernel // 2)
    return [
        nn.ReLU(),
        nn.Conv2d(c, c, kernel, stride, padding, dilation, groups=c, bias=False),
        nn.Conv2d(c, c, 1, bias=False),
        nn.BatchNorm2d(c),
    ]


def _op(name: str, c: int, stride: int) -> nn.Module:
    if name == "max_pool_3x3":
        return nn.MaxPool2d(3, stride=stride, padding=1)
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride=stride, padding=1, count_include_pad=False)
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else Halve(c, c)
    kernel = int(name[-1])
    if name.startswith("dil"):
        return nn.Sequential(*_depthwise(c, kernel, stride, 2))
    return nn.Sequential(*_depthwise(c, kernel, stride, 1), *_depthwise(c, kernel, 1, 1))
