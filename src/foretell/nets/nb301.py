"""The network of the DARTS space."""

from __future__ import annotations

from collections.abc import Container, Sequence

import torch
from torch import Tensor, nn

from foretell.nets.ops import Halve, conv_bn, op, pooled, relu_conv_bn

Terms = Sequence[tuple[int, str]]  # source and operation, two a node


class NB301Net(nn.Module):
    """Stem, cells of which two halve the size, mean over pixels, linear head.

    Args:
        cells: the normal and the reduction cell, 4 x 2 terms each.
        in_channels: of the images.
        n_outputs: of the last linear layer.
        channels: of the first cells.
        n_cells: cells.
        reductions: numbers of the reduction cells.

    Shapes: (n, in_channels, h, w) to (n, n_outputs), any h and w.

    References: Liu et al., DARTS, ICLR 2019. `Differs:` without auxiliary head and drop path,
    which belong to its training; odd sizes are halved rounding up.
    """

    def __init__(
        self,
        cells: Sequence[Terms],
        in_channels: int,
        n_outputs: int,
        channels: int,
        n_cells: int,
        reductions: Container[int],
    ) -> None:
        super().__init__()
        before = previous = 3 * channels
        self.stem = nn.Sequential(*conv_bn(in_channels, previous, 3))
        self.cells = nn.ModuleList()
        halved = False
        for k in range(n_cells):
            reduction = k in reductions
            channels *= 1 + reduction
            self.cells.append(Cell(cells[reduction], before, previous, channels, reduction, halved))
            before, previous, halved = previous, 4 * channels, reduction
        self.head = nn.Sequential(*pooled(previous, n_outputs))

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
        terms: Terms,
        before: int,
        previous: int,
        channels: int,
        reduction: bool,
        halved: bool,
    ) -> None:
        super().__init__()
        self.older = Halve(before, channels) if halved else relu_conv_bn(before, channels, 1)
        self.newer = relu_conv_bn(previous, channels, 1)
        self.sources = [source for source, _ in terms]
        self.ops = nn.ModuleList(
            op(name, channels, 2 if reduction and source < 2 else 1) for source, name in terms
        )

    def forward(self, older: Tensor, newer: Tensor) -> Tensor:
        """The joined nodes, four times as many channels."""
        nodes = [self.older(older), self.newer(newer)]
        for k in range(0, 8, 2):
            first, second = (self.ops[i](nodes[self.sources[i]]) for i in (k, k + 1))
            nodes.append(first + second)
        return torch.cat(nodes[2:], dim=1)
