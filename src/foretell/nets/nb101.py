"""The network of NAS-Bench-101."""

from __future__ import annotations

import functools
import operator

import torch
from torch import Tensor, nn

from foretell.spaces.base import Rows
from foretell.spaces.nb101 import OPS, vertex_channels
from foretell.spaces.parts import dag


class NB101Net(nn.Module):
    """Stem, stacks of equal cells with max pooling between them, head.

    Args:
        row: a canonical row of the space, shape (26,).
        in_channels: of the images.
        n_outputs: of the last linear layer.
        channels: of the stem and the first stack; doubled in each further one.
        n_stacks: stacks; max pooling before all but the first halves the size, rounding up.
        n_cells: in each stack.

    Shapes: (n, in_channels, h, w) to (n, n_outputs), any h and w.

    References: Ying et al., NAS-Bench-101, ICML 2019, figure 1 and appendix A.1. `Differs:`
    momentum of the batch normalisations 0.1 instead of 0.003, and PyTorch's initialisation: they
    also serve short trainings, in which 0.003 leaves the running statistics at their start.
    """

    def __init__(
        self,
        row: Rows,
        in_channels: int,
        n_outputs: int,
        channels: int,
        n_stacks: int,
        n_cells: int,
    ) -> None:
        super().__init__()
        self.stem = conv_bn_relu(in_channels, channels, 3)
        cells: list[nn.Module] = []
        c_in = channels
        for stack in range(n_stacks):
            if stack:
                cells.append(nn.MaxPool2d(2, stride=2, ceil_mode=True))
                channels *= 2
            for _ in range(n_cells):
                cells.append(Cell(row, c_in, channels))
                c_in = channels
        self.cells = nn.Sequential(*cells)
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, n_outputs)
        )

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

    def __init__(self, row: Rows, c_in: int, c_out: int) -> None:
        super().__init__()
        edges = dag.edges(row[None])
        self.width = vertex_channels(edges, c_out)[:, 0].tolist()
        self.sources: dict[int, list[int]] = {
            v: [i for (i, j), edge in zip(dag.PAIRS, edges, strict=True) if j == v and edge[0]]
            for v in range(1, dag.V)
        }
        inner = [v for v in range(1, dag.V - 1) if self.width[v]]
        self.ops = nn.ModuleDict(
            {f"vertex_{v}": _op(OPS[row[dag.N_EDGES + v - 1]], self.width[v]) for v in inner}
        )
        self.projections = nn.ModuleDict(
            {
                f"vertex_{v}": conv_bn_relu(c_in, self.width[v], 1)
                for v, sources in self.sources.items()
                if 0 in sources
            }
        )
        self.inner, self.last = inner, dag.V - 1

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


def conv_bn_relu(c_in: int, c_out: int, kernel: int) -> nn.Sequential:
    """Convolution without bias, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(c_out),
        nn.ReLU(),
    )


def _op(name: str, channels: int) -> nn.Module:
    if name == "maxpool3x3":
        return nn.MaxPool2d(3, stride=1, padding=1)
    return conv_bn_relu(channels, channels, 3 if name == "conv3x3-bn-relu" else 1)
