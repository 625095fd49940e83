"""The graph network of the Neural Predictor: several members, trained and run as one."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from foretell.graphs.tensors import Batch


class Inputs(NamedTuple):
    """What the network reads: all that follows from a graph before any weight.

    Shapes: `hot` (n, v, words); `forth` and `back` (n, v, v), F/2 and B/2; `share` (n, 1, v),
    one over the number of vertices; `features` (n, f).
    """

    hot: Tensor
    forth: Tensor
    back: Tensor
    share: Tensor
    features: Tensor

    def take(self, rows: Tensor) -> Inputs:
        """Some of the graphs."""
        return Inputs(*(one[rows] for one in self))


def inputs(graphs: Batch, words: int) -> Inputs:
    """The network's view of `graphs`."""
    hot = nn.functional.one_hot(graphs.ops, words + 1)[..., :-1].to(torch.float32)
    there = hot.sum(-1)
    adjacency = graphs.adjacency.to(torch.float32)
    linked = adjacency + torch.eye(adjacency.shape[-1], device=adjacency.device)
    forth = linked / linked.sum(-1, keepdim=True)
    back = forth.transpose(-1, -2)
    back = back / back.sum(-1, keepdim=True)
    share = (there / there.sum(1, keepdim=True)).unsqueeze(1)
    return Inputs(hot, forth / 2, back / 2, share, graphs.features)


class GraphNet(nn.Module):
    """M graph networks side by side, each with weights of its own.

    With A the adjacency plus the identity, F = rownorm(A), B = rownorm(F^T) and one-hot vertices
    V_0, layer l is

        V_{l+1} = 1/2 relu(F V_l W_l^+) + 1/2 relu(B V_l W_l^-);

    the score is the mean of V_L over the vertices, beside the features of the graph, through
    two linear maps. Nowhere is a bias, so vertices that are not there stay zero.

    Args:
        members: M.
        words: size of the vocabulary.
        features: features of the whole graph, f.
        hidden, layers, head: width and number of layers; width between the two linear maps.
        relu: whether a relu is between the two linear maps.
        dropout: share of channels left out of each graph, the same ones at all its vertices.
        generator: draws the initial weights, Xavier-uniform.

    Shapes: (n graphs) to scores (M, n).
    """

    def __init__(
        self,
        members: int,
        words: int,
        features: int,
        *,
        hidden: int,
        layers: int,
        head: int,
        relu: bool,
        dropout: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.relu, self.dropout = relu, dropout

        def weight(rows: int, columns: int, parts: int = 1) -> nn.Parameter:
            bound = (6.0 / (rows + columns)) ** 0.5
            drawn = torch.rand(members, rows, parts * columns, generator=generator)
            return nn.Parameter((2.0 * drawn - 1.0) * bound)

        sizes = [words] + [hidden] * layers
        self.convolutions = nn.ParameterList(
            weight(rows, hidden, parts=2) for rows in sizes[:-1]
        )  # W^+ and W^- side by side
        self.inner = weight(hidden + features, head)
        self.outer = weight(head, 1)

    def forward(self, graphs: Inputs, generator: torch.Generator | None = None) -> Tensor:
        """Scores (M, n); with a `generator`, dropout is on."""
        members = len(self.outer)
        n, v, words = graphs.hot.shape
        forth, back = (one.repeat(members, 1, 1) for one in (graphs.forth, graphs.back))
        H = graphs.hot.view(1, n * v, words).expand(members, -1, -1)
        for weight in self.convolutions:
            hidden = weight.shape[-1] // 2
            f, b = torch.bmm(H, weight).view(members * n, v, 2 * hidden).chunk(2, dim=-1)
            H = torch.relu(torch.bmm(forth, f)) + torch.relu(torch.bmm(back, b))
            H = self._drop(H.view(members, n, v, hidden), generator).view(members, n * v, hidden)
        pooled = torch.matmul(graphs.share, H.view(members, n, v, -1)).squeeze(2)
        wide = torch.cat([pooled, graphs.features.expand(members, -1, -1)], dim=-1)
        inner = torch.bmm(wide, self.inner)
        inner = self._drop(torch.relu(inner) if self.relu else inner, generator)
        return torch.bmm(inner, self.outer).squeeze(-1)

    def _drop(self, H: Tensor, generator: torch.Generator | None) -> Tensor:
        if generator is None or self.dropout == 0.0:
            return H
        shape = (*H.shape[:2], 1, H.shape[3]) if H.ndim == 4 else H.shape
        keep = torch.rand(shape, generator=generator) >= self.dropout
        return H * (keep / (1.0 - self.dropout))
