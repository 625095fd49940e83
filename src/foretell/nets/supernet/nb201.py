"""The supernet of NAS-Bench-201."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from foretell.nets.nb201 import Reduction
from foretell.nets.ops import conv_bn, op, pooled
from foretell.nets.supernet.mixed import NONE, Board, Mixed, Supernet, searching, untracked

Edges = Sequence[tuple[int, int]]  # source, target


class Cell(nn.Module):
    """One cell: node j is the sum of its edges from nodes that carry something; the last is out."""

    def __init__(self, edges: Edges, channels: int, board: Board, divisor: int) -> None:
        super().__init__()
        inside = channels // divisor
        self.into: dict[int, list[tuple[int, str]]] = {}
        self.edges = nn.ModuleDict()
        for e, (i, j) in enumerate(edges):
            name = f"edge_{i}_{j}"
            ops = {one: searching(op(one, inside)) for one in board.options[e] if one != NONE}
            self.edges[name] = Mixed(board, e, ops, divisor)
            self.into.setdefault(j, []).append((i, name))
        self.last = max(self.into)

    def forward(self, x: Tensor) -> Tensor:
        """The output node."""
        nodes = {0: x}
        edges: dict[str, Mixed] = dict(self.edges.items())  # type: ignore[arg-type]  # all are
        asked = {self.last}
        for j in sorted(self.into, reverse=True):
            asked |= {i for i, name in self.into[j] if j in asked and edges[name].present}
        for j in sorted(asked & self.into.keys()):  # what nobody reads is not run
            for i, name in self.into[j]:
                term = edges[name].term(nodes[i]) if i in nodes else None
                if term is not None:
                    nodes[j] = nodes[j] + term if j in nodes else term
        return nodes.get(self.last, torch.zeros_like(x))


def nb201_supernet(
    edges: Edges,
    options: Sequence[Sequence[str]],
    in_channels: int,
    n_outputs: int,
    channels: int,
    n_cells: int,
    divisor: int = 1,
) -> Supernet:
    """The skeleton of `NB201Net` with all operations on each edge; all cells share the weights.

    Args:
        edges: source and target, in the order of the sites.
        options: operations of each edge.
        in_channels: of the images.
        n_outputs: of the last linear layer.
        channels: of the first stage.
        n_cells: in each stage.
        divisor: 1/divisor of the channels goes through the operations.

    Shapes: (n, in_channels, h, w) to (n, n_outputs).
    """
    board = Board(options)
    parts: list[nn.Module] = [nn.Sequential(*conv_bn(in_channels, channels, 3))]
    for stage in range(3):
        if stage:
            parts.append(Reduction(channels))
            channels *= 2
        parts += [Cell(edges, channels, board, divisor) for _ in range(n_cells)]
    parts += [nn.BatchNorm2d(channels), nn.ReLU(), *pooled(channels, n_outputs)]
    return Supernet(untracked(nn.Sequential(*parts)), board)
