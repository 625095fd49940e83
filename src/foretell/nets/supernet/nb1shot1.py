"""The supernet of NAS-Bench-1Shot1: choice blocks, whose inputs are chosen too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from foretell.nets.ops import conv_bn_relu, op, pooled
from foretell.nets.supernet.mixed import Board, Mixed, Supernet, searching, untracked


class Cell(nn.Module):
    """Nodes are mixed operations on weighed sums of earlier ones; the output joins the nodes.

    The input reaches each node through a 1x1 convolution of its own, and is added to the output
    through another one.

    Args:
        board: of the network.
        parents: of each inner node, then of the output: the sources that it may read.
        inputs: site of the choice of parents of a node, where it has one.
        ops: site of the operation of each inner node.
        c_in, channels: of the input and of the output.
    """

    def __init__(
        self,
        board: Board,
        parents: Sequence[Sequence[int]],
        inputs: Mapping[int, int],
        ops: Sequence[int],
        c_in: int,
        channels: int,
    ) -> None:
        super().__init__()
        self.board, self.parents, self.inputs = board, [list(p) for p in parents], dict(inputs)
        n = len(ops)
        width = channels // n
        self.nodes = nn.ModuleList(
            Mixed(board, site, {k: searching(op(k, width)) for k in board.options[site]})
            for site in ops
        )
        self.projections = nn.ModuleList(
            searching(conv_bn_relu(c_in, width if v < n else width * n, 1)) for v in range(n + 1)
        )
        self.n = n

    def forward(self, x: Tensor) -> Tensor:
        """The output; inner nodes that nobody reads are not run."""
        asked = {self.n}
        for v in range(self.n, -1, -1):
            asked |= {u - 1 for u, _ in self._read(v) if v in asked and u}
        values: dict[int, Tensor] = {}
        for v in sorted(asked - {self.n}):
            total: Tensor | None = None
            for u, weight in self._read(v):
                term = self.projections[v](x) if u == 0 else values[u - 1]
                term = term if weight is None else term * weight
                total = term if total is None else total + term
            assert total is not None
            values[v] = self.nodes[v](total)
        read = dict(self._read(self.n))
        like = self.projections[self.n](x)
        parts = []
        for v in range(self.n):
            if v + 1 in read:
                weight = read[v + 1]
                parts.append(values[v] if weight is None else values[v] * weight)
            else:
                parts.append(like.new_zeros(len(x), like.shape[1] // self.n, *like.shape[2:]))
        out = torch.cat(parts, dim=1)
        if 0 in read:
            out = out + (like if read[0] is None else like * read[0])
        return out

    def _read(self, v: int) -> list[tuple[int, Tensor | None]]:
        """What node v reads (0 for the cell's input), and by which weight."""
        sources = self.parents[v]
        site = self.inputs.get(v)
        if site is None:
            return [(u, None) for u in sources]
        z = self.board.z[site]
        return [(sources[k], z[k]) for k in self.board.live[site]]


def nb1shot1_supernet(
    options: Sequence[Sequence[str]],
    parents: Sequence[Sequence[int]],
    inputs: Mapping[int, int],
    ops: Sequence[int],
    in_channels: int,
    n_outputs: int,
    channels: int,
    n_stacks: int,
    n_cells: int,
) -> Supernet:
    """Stem, stacks of equal cells with max pooling between them, head.

    Args:
        options: of each site.
        parents: of each inner node, then of the output.
        inputs: node -> site of its parents, where there is a choice.
        ops: site of the operation of each inner node.
        in_channels: of the images.
        n_outputs: of the last linear layer.
        channels: of the first stack; doubled in each further one.
        n_stacks: stacks.
        n_cells: in each.

    References: Zela et al., NAS-Bench-1Shot1, ICLR 2020, section 3; Bender et al., ICML 2018.
    """
    board = Board(options)
    parts: list[nn.Module] = [conv_bn_relu(in_channels, channels, 3)]
    c_in, n = channels, len(ops)
    for stack in range(n_stacks):
        if stack:
            parts.append(nn.MaxPool2d(2, ceil_mode=True))
            channels *= 2
        for _ in range(n_cells):
            parts.append(Cell(board, parents, inputs, ops, c_in, channels))
            c_in = channels // n * n
    return Supernet(untracked(nn.Sequential(*parts, *pooled(c_in, n_outputs))), board)
