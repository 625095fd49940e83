"""The network of the NASNet space, and its supernet: blocks of two operations on earlier ones."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence

import torch
from torch import Tensor, nn

from foretell.nets.chain import places, through
from foretell.nets.ops import Halve, conv_bn, op, pooled, relu_conv_bn
from foretell.nets.supernet.mixed import Board, Mixed, Supernet, searching, untracked

Edge = tuple[int, int, int]  # block, which of its two inputs, source; sources 0 and 1 are cells
Terms = Mapping[Edge, str]
Shape = tuple[int, int, int, int]


class NASNet(nn.Module):
    """Stem, cells of which two halve the size, mean over pixels, linear head.

    Args:
        make: of the normal and the reduction cell, the operation of each edge that there is; asked
            for its channels.
        in_channels: of the images.
        n_outputs: of the last linear layer.
        channels: of the first cells.
        n_cells: cells.
        reductions: numbers of the reduction cells.

    Shapes: (n, in_channels, h, w) to (n, n_outputs), any h and w.

    References: Zoph et al., CVPR 2018 (blocks); Pham et al., ENAS, ICML 2018, section 2.3 and its
    code (loose ends through one 1x1 convolution). `Differs:` no auxiliary head.
    """

    def __init__(
        self,
        make: Sequence[Mapping[Edge, Callable[[int], nn.Module]]],
        in_channels: int,
        n_outputs: int,
        channels: int,
        n_cells: int,
        reductions: Container[int],
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(*conv_bn(in_channels, channels, 3))
        chain = places(channels, channels, n_cells, reductions, joined=1)
        self.cells = nn.ModuleList(Cell(make[place.reduction], *place) for place in chain)
        self.head = nn.Sequential(nn.ReLU(), *pooled(chain[-1].channels, n_outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Logits, or values of a regression."""
        logits: Tensor = self.head(through(self.cells, self.stem(x)))
        return logits


class Cell(nn.Module):
    """Blocks, each the sum of what its edges give; what no block reads by a 1x1 convolution.

    A reduction cell halves its two inputs before anything reads them.

    Args:
        make: the operation of each edge.
        before, previous: channels of the two inputs.
        channels: of each block.
        reduction: whether the inputs are halved.
        halved: whether the older input is twice as large as the newer one.
    """

    def __init__(
        self,
        make: Mapping[Edge, Callable[[int], nn.Module]],
        before: int,
        previous: int,
        channels: int,
        reduction: bool,
        halved: bool,
    ) -> None:
        super().__init__()
        older = [_fitted(before, channels, halved or reduction)]
        older += [Halve(channels, channels)] if halved and reduction else []
        self.older = nn.Sequential(*older)
        self.newer = _fitted(previous, channels, reduction)
        self.edges = list(make)
        self.blocks = 1 + max(block for block, _, _ in make)
        self.ops = nn.ModuleList(one(channels) for one in make.values())
        shown = all(isinstance(one, Mixed) for one in self.ops)
        ends = range(2 + self.blocks) if shown else loose(self.edges, self.blocks)
        self.ends = nn.ModuleDict(
            {str(source): nn.Conv2d(channels, channels, 1, bias=False) for source in ends}
        )
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, older: Tensor, newer: Tensor) -> Tensor:
        """The loose ends, as many channels as a block has."""
        nodes: list[Tensor | None] = [self.older(older), self.newer(newer)]
        there = []
        for block in range(self.blocks):
            total: Tensor | None = None
            for edge, one in zip(self.edges, self.ops, strict=True):
                x = nodes[edge[2]] if edge[0] == block else None
                if x is None:
                    continue
                term = one.term(x) if isinstance(one, Mixed) else one(x)
                if term is not None:
                    there.append(edge)
                    total = term if total is None else total + term
            nodes.append(total)
        out: Tensor | None = None
        for source in loose(there, self.blocks):
            h = nodes[source]
            if h is not None:
                term = self.ends[str(source)](torch.relu(h))
                out = term if out is None else out + term
        assert out is not None  # the last block is loose, and has an edge
        normed: Tensor = self.norm(out)
        return normed


def loose(edges: Sequence[Edge], blocks: int) -> list[int]:
    """Sources that no edge reads: 0 and 1 are the inputs, 2 + b is block b.

    >>> loose([(0, 0, 0), (0, 1, 0), (1, 0, 2), (1, 1, 0)], 2)
    [1, 3]
    """
    read = {source for _, _, source in edges}
    return [source for source in range(2 + blocks) if source not in read]


def _fitted(c_in: int, c_out: int, halve: bool) -> nn.Module:
    """An input with the channels and the size of the cell."""
    return Halve(c_in, c_out) if halve else relu_conv_bn(c_in, c_out, 1)


def nasnet(terms: Sequence[Terms], shape: Shape, reductions: Container[int]) -> NASNet:
    """The network of a row: operations by name; `shape` and `reductions` as of `NASNet`."""

    def named(name: str) -> Callable[[int], nn.Module]:
        return lambda channels: op(name, channels)

    make = [{edge: named(name) for edge, name in cell.items()} for cell in terms]
    return NASNet(make, *shape, reductions)


def nasnet_supernet(
    options: Sequence[Sequence[str]],
    edges: Sequence[Edge],
    shape: Shape,
    reductions: Container[int],
) -> Supernet:
    """The network with all operations on all edges of both cells.

    Args:
        options: of each edge, first those of the normal cell.
        edges: of one cell.
        shape: in_channels, n_outputs, channels and n_cells of `NASNet`.
        reductions: numbers of the reduction cells.
    """
    board = Board(options)

    def site(e: int) -> Callable[[int], nn.Module]:
        names = board.options[e]
        return lambda channels: Mixed(
            board, e, {name: searching(op(name, channels)) for name in names}
        )

    n = len(edges)
    make = [{edge: site(n * cell + k) for k, edge in enumerate(edges)} for cell in range(2)]
    return Supernet(untracked(NASNet(make, *shape, reductions)), board)
