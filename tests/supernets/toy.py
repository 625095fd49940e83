"""A space that collapses in seconds: six edges, each the identity or a small network."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

import foretell as ft
from foretell.nets.supernet.mixed import mixed
from foretell.training.data import Data, load

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))


def operation(name: str, width: int = 16) -> nn.Module:
    """Of an edge."""
    if name == "skip_connect":
        return nn.Identity()
    layers: list[nn.Module] = []
    for _ in range(2):
        layers += [nn.ReLU(), nn.Linear(width, width), nn.BatchNorm1d(width)]
    return nn.Sequential(*layers)


class Cell(nn.Module):
    """Nodes are sums; the last one, normalised, is the output."""

    def __init__(self, options, width: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(
            mixed(one, lambda name: operation(name, width)) for one in options
        )
        self.norm = nn.BatchNorm1d(width, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        nodes = [x]
        for j in range(1, 4):
            pairs = zip(EDGES, self.edges, strict=True)
            nodes.append(sum(edge(nodes[i]) for (i, target), edge in pairs if target == j))
        return self.norm(nodes[3])


class Toy(ft.Space):
    """64 architectures, all of them good but one: six identities, which are a linear network."""

    edge = ft.choice(["skip_connect", "conv"], repeat=6, mix=True)

    def __init__(self, cells: int = 2, width: int = 16, input_shape=(12,), n_outputs=4) -> None:
        self.cells, self.width = cells, width
        super().__init__(input_shape=input_shape, n_outputs=n_outputs)

    def build(self, x, input_shape, n_outputs):
        options = self.decode(x)["edge"]
        cells = [Cell(options, self.width) for _ in range(self.cells)]
        stem = [nn.Linear(input_shape[0], self.width), nn.BatchNorm1d(self.width)]
        return nn.Sequential(*stem, *cells, nn.Linear(self.width, n_outputs))


def toy_data(seed: int, n: int = 2000) -> Data:
    """Labels are quartiles of the squared length of four of twelve numbers: nothing is linear."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3 * n, 12)).astype(np.float32)
    size = np.square(x[:, :4]).sum(axis=1)
    y = np.searchsorted(np.quantile(size, [0.25, 0.5, 0.75]), size)
    return load((x, y), seed=seed, fractions=(1 / 3, 1 / 3, 1 / 3))


def threads() -> None:
    """One thread: two are slower at this size."""
    torch.set_num_threads(1)
