"""The network of NAS-Bench-101."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from foretell.nets.ops import conv_bn_relu, op, pooled


class NB101Net(nn.Module):
    """Stem, stacks of equal cells with max pooling between them, head.

    Args:
        edges: (source, target) of a cell; vertex 0 is its input, the last one its output.
        ops: operation of each inner vertex.
        widths: for each stack the channels of each vertex, 0 for one that is not there; the last
            one's are those of the stack. Max pooling before all stacks but the first halves the
            size, rounding up.
        in_channels: of the images.
        n_outputs: of the last linear layer.
        n_cells: in each stack.

    Shapes: (n, in_channels, h, w) to (n, n_outputs), any h and w.

    References: Ying et al., NAS-Bench-101, ICML 2019, figure 1 and appendix A.1. `Differs:`
    momentum of the batch normalisations 0.1 instead of 0.003, and PyTorch's initialisation: they
    also serve short trainings, in which 0.003 leaves the running statistics at their start.
    """

    def __init__(
        self,
        edges: Sequence[tuple[int, int]],
        ops: Sequence[str],
        widths: Sequence[Sequence[int]],
        in_channels: int,
        n_outputs: int,
        n_cells: int,
    ) -> None:
        super().__init__()
        c_in = widths[0][-1]
        self.stem = conv_bn_relu(in_channels, c_in, 3)
        cells: list[nn.Module] = []
        for stack, width in enumerate(widths):
            if stack:
                cells.append(nn.MaxPool2d(2, stride=2, ceil_mode=True))
            for _ in range(n_cells):
                cells.append(Cell(edges, ops, width, c_in))
                c_in = width[-1]
        self.cells = nn.Sequential(*cells)
        self.head = nn.Sequential(*pooled(c_in, n_outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Logits, or values of a regression."""
        logits: Tensor = self.head(self.cells(self.stem(x)))
        return logits


class Cell(nn.Module):
    """One cell: inner vertices add what they get, the output joins channels.

    The input reaches each of its targets through a 1x1 convolution to that vertex's channels; the
    one to the output is added to the joined channels. An inner vertex with one channel more than
    its target is cut to fit.
    """

    def __init__(
        self,
        edges: Sequence[tuple[int, int]],
        ops: Sequence[str],
        width: Sequence[int],
        c_in: int,
    ) -> None:
        super().__init__()
        self.width, self.last = list(width), len(width) - 1
        self.inner = [v for v in range(1, self.last) if width[v]]
        self.sources = {v: [i for i, j in edges if j == v] for v in range(1, len(width))}
        self.ops = nn.ModuleDict({f"vertex_{v}": op(ops[v - 1], width[v]) for v in self.inner})
        self.projections = nn.ModuleDict(
            {
                f"vertex_{v}": conv_bn_relu(c_in, width[v], 1)
                for v, sources in self.sources.items()
                if 0 in sources
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        """The output vertex."""
        values: dict[int, Tensor] = {}
        for v in self.inner:
            width = self.width[v]
            terms = [
                values[u] if self.width[u] == width else values[u][:, :width]
                for u in self.sources[v]
                if u
            ]
            if 0 in self.sources[v]:
                terms.append(self.projections[f"vertex_{v}"](x))
            values[v] = self.ops[f"vertex_{v}"](functools.reduce(operator.add, terms))
        joined = [values[u] for u in self.sources[self.last] if u]
        parts = [torch.cat(joined, dim=1) if len(joined) > 1 else joined[0]] if joined else []
        if 0 in self.sources[self.last]:
            parts.append(self.projections[f"vertex_{self.last}"](x))
        return functools.reduce(operator.add, parts)
