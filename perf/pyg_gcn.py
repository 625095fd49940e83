"""The network of `gcn` written with PyTorch Geometric by its own means: the peer of bench_gcn.py.

A `Data` object for each graph, `DataLoader` for batches, a `MessagePassing` layer in both
directions, mean pooling; members are trained one after the other.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import MessagePassing, global_mean_pool

from foretell.predictors.gcn import GCN
from foretell.predictors.parts.losses import rank
from foretell.spaces.base import Graphs


class BothWays(MessagePassing):
    """1/2 relu(F x W+) + 1/2 relu(B x W-)."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__(aggr="add")
        self.forth = nn.Linear(width_in, width, bias=False)
        self.back = nn.Linear(width_in, width, bias=False)

    def forward(self, x: Tensor, data: Batch) -> Tensor:
        """New states of the vertices."""
        f = self.propagate(data.edge_index.flip(0), x=self.forth(x), weight=data.forth)
        b = self.propagate(data.edge_index, x=self.back(x), weight=data.back)
        return (f.relu() + b.relu()) / 2

    def message(self, x_j: Tensor, weight: Tensor) -> Tensor:
        """Weighted state of the vertex at the other end."""
        return weight[:, None] * x_j


class Net(nn.Module):
    """One member."""

    def __init__(self, words: int, features: int, like: GCN) -> None:
        super().__init__()
        sizes = [words] + [like.hidden] * like.layers
        self.layers = nn.ModuleList(BothWays(a, b) for a, b in pairwise(sizes))
        self.inner = nn.Linear(like.hidden + features, like.head, bias=False)
        self.outer = nn.Linear(like.head, 1, bias=False)
        self.dropout = nn.Dropout(like.dropout)
        for weight in self.parameters():
            nn.init.xavier_uniform_(weight)

    def forward(self, data: Batch) -> Tensor:
        """Scores (n,)."""
        x = data.x
        for layer in self.layers:
            x = self.dropout(layer(x, data))
        pooled = global_mean_pool(x, data.batch)
        inner = self.inner(torch.cat([pooled, data.features], dim=-1)).relu()
        return self.outer(self.dropout(inner))[:, 0]

    def copy_weights(self, net: nn.Module, member: int) -> None:
        """Take the weights of one member of foretell's network."""
        with torch.no_grad():
            for layer, weight in zip(self.layers, net.convolutions, strict=True):
                forth, back = weight[member].chunk(2, dim=-1)
                layer.forth.weight.copy_(forth.T)
                layer.back.weight.copy_(back.T)
            self.inner.weight.copy_(net.inner[member].T)
            self.outer.weight.copy_(net.outer[member].T)


def data_list(graphs: Graphs, features: np.ndarray, words: int) -> list[Data]:
    """A `Data` object for each graph."""
    out = []
    for ops, adjacency, row in zip(*graphs, torch.from_numpy(features), strict=True):
        there = np.flatnonzero(ops >= 0)
        linked = adjacency[np.ix_(there, there)] | np.eye(len(there), dtype=bool)
        forth = linked / linked.sum(1, keepdims=True)
        back = forth.T / forth.T.sum(1, keepdims=True)
        source, target = np.nonzero(linked)
        out.append(
            Data(
                x=nn.functional.one_hot(torch.from_numpy(ops[there]).long(), words).float(),
                edge_index=torch.from_numpy(np.stack([source, target])),
                forth=torch.from_numpy(forth[source, target]).float(),
                back=torch.from_numpy(back[target, source]).float(),
                features=row[None],
            )
        )
    return out


class PyGGCN:
    """Fits and scores as `like` does, with its number of members, steps and sizes."""

    def __init__(self, like: GCN) -> None:
        self.like = like

    def fit(self, X: np.ndarray, y: np.ndarray) -> None:
        """Train the members, one after the other."""
        like = self.like
        graphs = self.graphs(X)
        for one, value in zip(graphs, torch.from_numpy(y), strict=True):
            one.y = value
        batch = math.ceil(len(y) / max(len(y) // like.batch_size, 1))
        loader = DataLoader(graphs, batch_size=batch, shuffle=True)
        epochs = max(like.epochs, math.ceil(like.min_steps / len(loader)))
        self.steps, self.nets = epochs * len(loader), []
        for _ in range(like.members):
            net = Net(len(like.space.vocabulary), graphs[0].features.shape[1], like)
            optimiser = torch.optim.AdamW(
                net.parameters(), lr=like.lr, weight_decay=like.weight_decay
            )
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, self.steps)
            for _ in range(epochs):
                for data in loader:
                    optimiser.zero_grad()
                    rank(net(data)[None], data.y).backward()
                    optimiser.step()
                    schedule.step()
            self.nets.append(net.eval())

    def graphs(self, X: np.ndarray) -> list[Data]:
        """Rows as `Data`, with standardised features and a one for the bias."""
        like = self.like
        return data_list(like.space.graphs(X), like._features(X), len(like.space.vocabulary))

    @torch.inference_mode()
    def scores(self, X: np.ndarray) -> np.ndarray:
        """Scores (M, n)."""
        loader = DataLoader(self.graphs(X), batch_size=2048)
        parts = [torch.stack([net(data) for net in self.nets]) for data in loader]
        return torch.cat(parts, dim=1).numpy()
