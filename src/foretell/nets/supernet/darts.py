"""The supernet of the DARTS space and its relatives."""

from __future__ import annotations

from collections.abc import Container, Sequence

import torch
from torch import Tensor, nn

from foretell.nets.chain import places, through
from foretell.nets.ops import Halve, conv_bn, op, pooled, relu_conv_bn
from foretell.nets.supernet.mixed import NONE, Board, Mixed, Supernet, searching, untracked

NODES = (2, 3, 4, 5)


class DartsNet(nn.Module):
    """Stem, cells of which two halve the size, mean over pixels, linear head."""

    def __init__(
        self,
        board: Board,
        in_channels: int,
        n_outputs: int,
        channels: int,
        n_cells: int,
        reductions: Container[int],
        divisor: int,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(*conv_bn(in_channels, 3 * channels, 3))
        chain = places(3 * channels, channels, n_cells, reductions, joined=4)
        self.cells = nn.ModuleList(Cell(board, *place, divisor) for place in chain)
        self.head = nn.Sequential(*pooled(4 * chain[-1].channels, n_outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Logits, or values of a regression."""
        logits: Tensor = self.head(through(self.cells, self.stem(x)))
        return logits


class Cell(nn.Module):
    """Four nodes, each the sum of all earlier ones' mixed operations; all four are joined.

    Poolings are normalised, as in searches of the paper; a row's network has them bare.
    """

    def __init__(
        self,
        board: Board,
        before: int,
        previous: int,
        channels: int,
        reduction: bool,
        halved: bool,
        divisor: int,
    ) -> None:
        super().__init__()
        older = Halve(before, channels) if halved else relu_conv_bn(before, channels, 1)
        self.older = searching(older)
        self.newer = searching(relu_conv_bn(previous, channels, 1))
        self.edges = nn.ModuleDict()
        site = len(board.options) // 2 if reduction else 0
        for j in NODES:
            for i in range(j):
                stride = 2 if reduction and i < 2 else 1
                ops = {
                    name: _searched(name, channels // divisor, stride)
                    for name in board.options[site]
                    if name != NONE
                }
                bypass = nn.MaxPool2d(2, ceil_mode=True) if stride == 2 else None
                self.edges[f"edge_{i}_{j}"] = Mixed(board, site, ops, divisor, bypass)
                site += 1
        self.channels, self.reduction = channels, reduction

    def forward(self, older: Tensor, newer: Tensor) -> Tensor:
        """The joined nodes, four times as many channels."""
        nodes = [self.older(older), self.newer(newer)]
        for j in NODES:
            total: Tensor | None = None
            for i in range(j):
                edge = self.edges[f"edge_{i}_{j}"]
                assert isinstance(edge, Mixed)
                term = edge.term(nodes[i])
                if term is not None:
                    total = term if total is None else total + term
            nodes.append(self._nothing(nodes[0]) if total is None else total)
        return torch.cat(nodes[2:], dim=1)

    def _nothing(self, like: Tensor) -> Tensor:
        n, c, h, w = like.shape
        size = (-(-h // 2), -(-w // 2)) if self.reduction else (h, w)
        return like.new_zeros(n, c, *size)


def _searched(name: str, channels: int, stride: int) -> nn.Module:
    module = searching(op(name, channels, stride))
    if "pool" in name:
        norm = nn.BatchNorm2d(channels, affine=False, track_running_stats=False)
        return nn.Sequential(module, norm)
    return module


def darts_supernet(
    options: Sequence[Sequence[str]],
    in_channels: int,
    n_outputs: int,
    channels: int,
    n_cells: int,
    reductions: Container[int],
    divisor: int = 1,
) -> Supernet:
    """The skeleton of `NB301Net` with all operations on all 14 edges of both cells.

    Args:
        options: operations of each edge, first those of the normal cell, node by node.
        in_channels: of the images.
        n_outputs: of the last linear layer.
        channels: of the first cells.
        n_cells: cells.
        reductions: numbers of the reduction cells.
        divisor: 1/divisor of the channels goes through the operations.

    Shapes: (n, in_channels, h, w) to (n, n_outputs).

    References: Liu et al., DARTS, ICLR 2019.
    """
    board = Board(options)
    net = DartsNet(board, in_channels, n_outputs, channels, n_cells, reductions, divisor)
    return Supernet(untracked(net), board)
