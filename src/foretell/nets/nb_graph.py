"""The network of NAS-Bench-Graph, for whole graphs with dense adjacency."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class NBGraphNet(nn.Module):
    """Linear map of the features, four operations on a tree, mean over nodes, linear head.

    Args:
        sources: what each of the four nodes reads: an earlier node, or 0 for the input.
        ops: operation of each node.
        features: of each node.
        n_outputs: of the head.
        hidden: channels inside.

    Shapes: (n, nodes, features + nodes) to (n, n_outputs); the last columns are the adjacency
    matrix, an entry above 0 is a link.

    References: Qin et al., NAS-Bench-Graph, NeurIPS 2022. `Differs:` there one large graph is
    given and each node has a label; here each example is a graph and the head reads the mean of
    its nodes.
    """

    def __init__(
        self,
        sources: Sequence[int],
        ops: Sequence[str],
        features: int,
        n_outputs: int,
        hidden: int,
    ) -> None:
        super().__init__()
        self.features = features
        self.sources = list(sources)
        self.results = [i for i in range(1, len(ops) + 1) if i not in self.sources]
        self.stem = nn.Linear(features, hidden)
        self.ops = nn.ModuleList(
            nn.Identity() if op == "skip" else _KINDS[op](hidden) for op in ops
        )
        self.head = nn.Linear(hidden * len(self.results), n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, or values of a regression."""
        links = (x[..., self.features :] > 0).to(x.dtype)
        values = [self.stem(x[..., : self.features])]
        for source, op in zip(self.sources, self.ops, strict=True):
            values.append(_apply(op, values[source], links))
        joined = torch.cat([values[i] for i in self.results], dim=-1)
        logits: Tensor = self.head(joined.mean(dim=-2))
        return logits


def _apply(op: nn.Module, values: Tensor, links: Tensor) -> Tensor:
    if isinstance(op, nn.Identity):
        return values
    out: Tensor = torch.relu(op(values, links))
    return out


def _scaled(links: Tensor) -> Tensor:
    """D^-1/2 A D^-1/2, with degrees of at least 1."""
    root = links.sum(-1).clamp(min=1.0).rsqrt()
    return root.unsqueeze(-1) * links * root.unsqueeze(-2)


class _GCN(nn.Module):
    """Kipf & Welling 2017: D^-1/2 (A + I) D^-1/2 H W + b."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.map = nn.Linear(hidden, hidden, bias=False)
        self.bias = nn.Parameter(torch.zeros(hidden))

    def forward(self, values: Tensor, links: Tensor) -> Tensor:
        own = torch.eye(links.shape[-1], dtype=links.dtype, device=links.device)
        out: Tensor = _scaled(links + own) @ self.map(values) + self.bias
        return out


class _GAT(nn.Module):
    """Velickovic et al. 2018, two heads: softmax over neighbours and itself of scored pairs."""

    heads = 2

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.map = nn.Linear(hidden, hidden, bias=False)
        self.source = nn.Parameter(torch.randn(self.heads, hidden // self.heads) / hidden**0.5)
        self.target = nn.Parameter(torch.randn(self.heads, hidden // self.heads) / hidden**0.5)
        self.bias = nn.Parameter(torch.zeros(hidden))

    def forward(self, values: Tensor, links: Tensor) -> Tensor:
        own = torch.eye(links.shape[-1], dtype=links.dtype, device=links.device)
        parts = self.map(values).unflatten(-1, (self.heads, -1)).transpose(-3, -2)
        source = (parts * self.source.unsqueeze(-2)).sum(-1)
        target = (parts * self.target.unsqueeze(-2)).sum(-1)
        scores = nn.functional.leaky_relu(target.unsqueeze(-1) + source.unsqueeze(-2), 0.2)
        apart = (links + own).unsqueeze(-3) == 0
        weights = torch.softmax(scores.masked_fill(apart, float("-inf")), dim=-1)
        out: Tensor = (weights @ parts).transpose(-3, -2).flatten(-2) + self.bias
        return out


class _GIN(nn.Module):
    """Xu et al. 2019: an MLP of H + A H."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)

    def forward(self, values: Tensor, links: Tensor) -> Tensor:
        out: Tensor = self.outer(torch.relu(self.inner(values + links @ values)))
        return out


class _Two(nn.Module):
    """H V + M H W + b for a matrix M of the links."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.own, self.near = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden, bias=False)

    def matrix(self, links: Tensor) -> Tensor:
        """M: the links themselves, which is the graph convolution of Morris et al. 2019."""
        return links

    def forward(self, values: Tensor, links: Tensor) -> Tensor:
        out: Tensor = self.own(values) + self.matrix(links) @ self.near(values)
        return out


class _Cheb(_Two):
    """Defferrard et al. 2016 with two polynomials: M = -D^-1/2 A D^-1/2."""

    def matrix(self, links: Tensor) -> Tensor:
        return -_scaled(links)


class _ARMA(_Two):
    """Bianchi et al. 2021, one stack of one layer: M = D^-1/2 A D^-1/2."""

    def matrix(self, links: Tensor) -> Tensor:
        return _scaled(links)


class _SAGE(_Two):
    """Hamilton et al. 2017: M averages over the neighbours."""

    def matrix(self, links: Tensor) -> Tensor:
        return links / links.sum(-1, keepdim=True).clamp(min=1.0)


class _FC(nn.Module):
    """A linear map of each node."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.map = nn.Linear(hidden, hidden)

    def forward(self, values: Tensor, links: Tensor) -> Tensor:
        out: Tensor = self.map(values)
        return out


_KINDS: dict[str, type[nn.Module]] = {
    "gat": _GAT,
    "gcn": _GCN,
    "gin": _GIN,
    "cheb": _Cheb,
    "sage": _SAGE,
    "arma": _ARMA,
    "graph": _Two,
    "fc": _FC,
}
