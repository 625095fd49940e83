"""A graph network on computational graphs of any space."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from foretell.graphs.computation import VOCABULARY, Computations

_KERNELS = 8  # larger kernels are as the largest
_SCALE = 12.0  # logarithms of sizes are divided by it


class Tensors(NamedTuple):
    """A ragged batch for torch.

    Shapes: `ops` (V,), `sizes` (V, 6) logarithms, `kernels` (V, 2), `bias` (V,), `edges` (E, 2),
    `graph` (V,) which graph a vertex is of, `n` graphs.
    """

    ops: Tensor
    sizes: Tensor
    kernels: Tensor
    bias: Tensor
    edges: Tensor
    graph: Tensor
    n: int


def tensors(graphs: Computations) -> Tensors:
    """The vertices and edges of a batch as tensors."""
    return Tensors(
        torch.from_numpy(graphs.ops.astype(np.int64)),
        torch.from_numpy(np.log1p(graphs.shapes).astype(np.float32) / _SCALE),
        torch.from_numpy(np.minimum(graphs.kernels, _KERNELS - 1).astype(np.int64)),
        torch.from_numpy(graphs.bias.astype(np.int64)),
        torch.from_numpy(graphs.edges.astype(np.int64)),
        torch.from_numpy(graphs.graph.astype(np.int64)),
        graphs.n,
    )


class Encoder(nn.Module):
    """One vector a graph, the same for every order of its vertices.

    A vertex starts as its operation (14 numbers), sizes (a linear map to 8), kernel (2 x 4) and
    bias (2); then `layers` times

        h_v = h_v + silu(LayerNorm(W h_v + A mean_{u -> v} h_u + B mean_{v -> w} h_w))

    and the vector is the mean over the vertices beside the largest of each number.

    Args:
        hidden: width of the layers.
        layers: of them.

    Shapes: `Tensors` of n graphs to (n, 2 hidden).

    References: Mills et al., GENNAPE, AAAI 2023 (embedding of a vertex; a k-GNN of six layers of
    32); Morris et al., AAAI 2019. `Differs:` sizes are logarithms, messages pass both ways, layers
    are residual, and the largest numbers stand beside the mean.
    """

    def __init__(self, hidden: int = 48, layers: int = 5) -> None:
        super().__init__()
        self.width = 2 * hidden
        self.op = nn.Embedding(len(VOCABULARY), 14)
        self.size = nn.Linear(6, 8)
        self.kernel = nn.Embedding(_KERNELS, 4)
        self.bias = nn.Embedding(2, 2)
        self.start = nn.Linear(32, hidden)
        self.layers = nn.ModuleList(_Layer(hidden) for _ in range(layers))

    def forward(self, graphs: Tensors) -> Tensor:
        """The vectors."""
        kernel = self.kernel(graphs.kernels).flatten(1)
        parts = [self.op(graphs.ops), self.size(graphs.sizes), kernel, self.bias(graphs.bias)]
        h = self.start(torch.cat(parts, dim=1))
        source, target = graphs.edges[:, 0], graphs.edges[:, 1]
        into = torch.zeros(len(h)).index_add_(0, target, torch.ones(len(target))).clamp(min=1)
        out = torch.zeros(len(h)).index_add_(0, source, torch.ones(len(source))).clamp(min=1)
        for layer in self.layers:
            before = torch.zeros_like(h).index_add_(0, target, h[source]) / into[:, None]
            after = torch.zeros_like(h).index_add_(0, source, h[target]) / out[:, None]
            h = layer(h, before, after)
        count = torch.bincount(graphs.graph, minlength=graphs.n)[:, None]
        mean = torch.zeros(graphs.n, h.shape[1]).index_add_(0, graphs.graph, h) / count
        index = graphs.graph[:, None].expand_as(h)
        most = torch.full_like(mean, -torch.inf).scatter_reduce(0, index, h, "amax")
        return torch.cat([mean, most], dim=1)


class _Layer(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.own = nn.Linear(hidden, hidden)
        self.before = nn.Linear(hidden, hidden, bias=False)
        self.after = nn.Linear(hidden, hidden, bias=False)
        self.norm = nn.LayerNorm(hidden)

    def forward(self, h: Tensor, before: Tensor, after: Tensor) -> Tensor:
        mixed = self.own(h) + self.before(before) + self.after(after)
        out: Tensor = h + nn.functional.silu(self.norm(mixed))
        return out


class Projection(nn.Module):
    """An encoder and the head of the contrastive loss: vectors (n, size) of length 1."""

    def __init__(self, encoder: Encoder, size: int = 32) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Sequential(
            nn.Linear(encoder.width, encoder.width), nn.SiLU(), nn.Linear(encoder.width, size)
        )

    def forward(self, graphs: Tensors) -> Tensor:
        """The projections."""
        return nn.functional.normalize(self.head(self.encoder(graphs)), dim=1)


class Scorer(nn.Module):
    """An encoder and a head that scores its vectors, (n,)."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Sequential(
            nn.LayerNorm(encoder.width), nn.Linear(encoder.width, 32), nn.SiLU(), nn.Linear(32, 1)
        )

    def forward(self, graphs: Tensors) -> Tensor:
        """The scores."""
        scores: Tensor = self.head(self.encoder(graphs))[:, 0]
        return scores
