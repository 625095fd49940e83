"""Graphs as torch tensors, for networks that read them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from foretell.graphs.view import Graphs, compact


class Batch(NamedTuple):
    """Graphs as tensors, vertices that are there first.

    Shapes: `ops` (n, v) int64, the size of the vocabulary where there is no vertex; `adjacency`
    (n, v, v) bool; `features` (n, f) float32, of the whole graph.
    """

    ops: Tensor
    adjacency: Tensor
    features: Tensor

    def take(self, rows: Tensor | slice) -> Batch:
        """Some of the graphs."""
        return Batch(self.ops[rows], self.adjacency[rows], self.features[rows])


def batch(graphs: Graphs, features: NDArray[np.float32], words: int) -> Batch:
    """Tensors of `graphs`, cut to the largest number of vertices that one of them has."""
    ops, adjacency = compact(graphs)
    v = max(int((ops >= 0).sum(1).max()), 1)
    ops, adjacency = np.where(ops >= 0, ops, words)[:, :v], adjacency[:, :v, :v]
    return Batch(
        torch.from_numpy(ops.astype(np.int64)),
        torch.from_numpy(np.ascontiguousarray(adjacency)),
        torch.tensor(features, dtype=torch.float32),
    )


def mean(states: Tensor, there: Tensor) -> Tensor:
    """Mean over the vertices that are there: (n, v, h) and (n, v) to (n, h)."""
    weight = there.to(states.dtype)[..., None]
    total: Tensor = (states * weight).sum(1)
    return total / weight.sum(1).clamp(min=1.0)
