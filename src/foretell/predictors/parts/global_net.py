"""Graph networks that read one global vertex, which hears from all others: BONAS and BRP-NAS."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from foretell.graphs.tensors import Batch
from foretell.predictors.parts.members import MLP, Linear, along, drop
from foretell.predictors.parts.transformer import Norm

_MOMENTUM = 0.1


class Global(NamedTuple):
    """Graphs with a global vertex in front.

    Shapes: `hot` (n, 1 + v, words + 1), the last word is the global vertex; `into`
    (n, 1 + v, 1 + v), rows sum to 1: [i, j] where i hears from j, itself among them; `there`
    (n, 1 + v); `features` (n, f).
    """

    hot: Tensor
    into: Tensor
    there: Tensor
    features: Tensor

    def take(self, rows: Tensor | slice) -> Global:
        """Some of the graphs."""
        return Global(*(one[rows] for one in self))


def with_global(graphs: Batch, words: int) -> Global:
    """The network's view of `graphs`."""
    ops = nn.functional.pad(graphs.ops, (1, 0), value=words + 1)
    hot = nn.functional.one_hot(ops, words + 2).to(torch.float32)
    there = (ops != words).to(torch.float32)
    into = nn.functional.pad(graphs.adjacency.transpose(1, 2), (1, 0, 1, 0)).to(torch.float32)
    into[:, 0] = there
    into.diagonal(dim1=1, dim2=2).fill_(1.0)
    kept = [k for k in range(words + 2) if k != words]
    return Global(hot[..., kept], into / into.sum(-1, keepdim=True), there, graphs.features)


class BatchNorm(nn.Module):
    """M batch normalisations over the vertices that are there; running averages when scoring.

    Shapes: H (M, n, v, width) and `there` (n, v) to (M, n, v, width).
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, members: int, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(members, 1, 1, width))
        self.shift = nn.Parameter(torch.zeros(members, 1, 1, width))
        self.register_buffer("mean", torch.zeros(members, 1, 1, width))
        self.register_buffer("variance", torch.ones(members, 1, 1, width))

    def forward(self, H: Tensor, there: Tensor) -> Tensor:
        """Zero mean and unit variance of each channel, then scale and shift."""
        mean, variance = self.mean, self.variance
        if self.training:
            weight = (there / there.sum())[None, :, :, None]
            mean = (H * weight).sum((1, 2), keepdim=True)
            variance = ((H - mean).square() * weight).sum((1, 2), keepdim=True)
            with torch.no_grad():
                self.mean.lerp_(mean, _MOMENTUM)
                self.variance.lerp_(variance, _MOMENTUM)
        return (H - mean) * (self.scale * torch.rsqrt(variance + 1e-5)) + self.shift


class GlobalNet(nn.Module):
    """M graph networks side by side.

    With A the adjacency, the edges to the global vertex and self-loops, layer l is

        H_{l+1} = relu(norm(rownorm(A^T) H_l W_l + b_l)).

    The score is an MLP (a linear map where `head` is empty) of the global vertex, beside the
    features of the graph.

    Args:
        members: M.
        words: size of the vocabulary.
        features: features of the whole graph.
        hidden, layers: width and number of the graph layers.
        head: widths of the hidden layers after them.
        norm: "layer" or "batch".
        dropout: share of channels left out after each layer.
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
        head: tuple[int, ...],
        norm: Literal["layer", "batch"],
        dropout: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.members, self.dropout = members, dropout
        self.maps = nn.ModuleList(
            Linear(members, rows, hidden, generator)
            for rows in [words + 1] + [hidden] * (layers - 1)
        )
        kind = Norm if norm == "layer" else BatchNorm
        self.norms = nn.ModuleList(kind(members, hidden) for _ in range(layers))
        self.head = MLP(members, [hidden + features, *head], generator, dropout, last=True)
        self.out = Linear(members, [hidden + features, *head][-1], 1, generator)

    def embed(self, view: Global, generator: torch.Generator | None = None) -> Tensor:
        """What the last linear map reads, (M, n, width)."""
        H = view.hot.unsqueeze(0)
        for one, norm in zip(self.maps, self.norms, strict=True):
            H = along(view.into, one(H))
            H = norm(H, view.there) if isinstance(norm, BatchNorm) else norm(H)
            H = drop(torch.relu(H), self.dropout, generator)
        features = view.features.expand(self.members, -1, -1)
        wide: Tensor = self.head(torch.cat([H[:, :, 0], features], dim=-1), generator)
        return wide

    def forward(self, view: Global, generator: torch.Generator | None = None) -> Tensor:
        """Scores (M, n); with a `generator`, dropout is on."""
        score: Tensor = self.out(self.embed(view, generator))
        return score.squeeze(-1)
