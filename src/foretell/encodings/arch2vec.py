"""arch2vec: the latent of a variational graph isomorphism autoencoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from foretell.encodings.parts.learnt import Learnt
from foretell.errors import SettingError
from foretell.graphs.pretraining import Autoencoder
from foretell.graphs.tensors import Batch, mean
from foretell.spaces.base import Space


class Arch2Vec(Learnt):
    """Mean latent of the vertices, learnt by drawing architectures again from their latents.

    A graph isomorphism network of `layers` hops gives each vertex a state,

        H_(l+1) = mlp_l(concat((1 + e_l) H_l, A H_l, A^T H_l)),    mlp = linear, norm, relu, twice,

    a variational autoencoder (`graphs.pretraining.Autoencoder`) makes latents of them, and the
    feature is the mean of the latents' means over the vertices that are there. No target is seen.
    The encoding does not change when vertices are renamed.

    Args:
        space: the space whose rows it sees.
        latent: size of a vertex's latent, and of the encoding.
        hidden: width of the hops.
        layers: number of hops.
        directed: whether edges have a direction; else mlp_l reads (1 + e_l) H_l + (A + A^T) H_l.
        beta: weight of the divergence from the standard normal.
        dropout: share of channels of a latent left out before the graph is drawn.
        rows: architectures to learn from.
        steps: of the optimiser.
        batch_size: architectures in a step.
        lr: highest learning rate.
        seed: of rows and weights.
        path: .safetensors file of weights that `save` has written, or None to learn them.

    Shapes: (n, d) to (n, latent).

    References: Yan et al. 2020, Does Unsupervised Architecture Representation Learning Help Neural
    Architecture Search?, section 3. `Arch2Vec.paper(space)` has the width, depth and undirected
    edges of the paper.
    Differs: see `Autoencoder`; 4,096 rows and 400 steps suffice to draw 98 of 100 cells of
    NAS-Bench-201 without a mistake, where the paper takes 8 epochs of the whole space.

    >>> import foretell as ft
    >>> own = ft.Space.from_choices({"depth": [1, 2, 3], "op": ["a", "b"]}, build=print)
    >>> Arch2Vec(own, latent=4, hidden=8, steps=5).transform(own.sample(3, rng=0)).shape
    (3, 4)
    """

    def __init__(
        self,
        space: Space,
        latent: int = 16,
        hidden: int = 64,
        layers: int = 3,
        directed: bool = True,
        beta: float = 0.005,
        dropout: float = 0.0,
        rows: int = 4096,
        steps: int = 400,
        batch_size: int = 64,
        lr: float = 3e-3,
        seed: int = 0,
        path: str | Path | None = None,
    ) -> None:
        self.space = space
        self.latent = latent
        self.hidden = hidden
        self.layers = layers
        self.directed = directed
        self.beta = beta
        self.dropout = dropout
        self.rows = rows
        self.steps = steps
        self.batch_size = batch_size
        self.lr = lr
        self.seed = seed
        self.path = path

    @classmethod
    def paper(cls, space: Space, **changes: Any) -> Arch2Vec:
        """The settings of the paper: five undirected hops of 128, batches of 32."""
        settings = {
            "hidden": 128,
            "layers": 5,
            "directed": False,
            "dropout": 0.3,
            "steps": 3500,
            "rows": 14_000,
            "batch_size": 32,
            "lr": 1e-3,
        }
        return cls(space, **{**settings, **changes})

    def _module(self) -> Autoencoder:
        for name in ("latent", "hidden", "layers"):
            if getattr(self, name) < 1:
                raise SettingError(name, expected="at least 1", got=getattr(self, name))
        words = len(self.space.vocabulary)
        encoder = GIN(words, self.hidden, self.layers, self.directed)
        return Autoencoder(encoder, self.hidden, words, self.latent, self.beta, self.dropout)

    def _embed(self, module: Any, graphs: Batch) -> Tensor:
        means: Tensor = module.latents(graphs)[0]
        return mean(means, graphs.ops < len(self.space.vocabulary))


class GIN(nn.Module):
    """Graph isomorphism network: states (n, v, hidden) of a `Batch`; the equation is `Arch2Vec`'s.

    References: Xu et al. 2019, How Powerful are Graph Neural Networks?
    """

    def __init__(self, words: int, hidden: int, layers: int, directed: bool) -> None:
        super().__init__()
        self.words, self.directed = words, directed
        self.enter = nn.Embedding(words + 1, hidden, padding_idx=words)
        self.epsilon = nn.Parameter(torch.zeros(layers))
        parts = 3 if directed else 1
        self.hops = nn.ModuleList(
            nn.Sequential(
                nn.Linear(parts * hidden, hidden),
                nn.BatchNorm1d(hidden),
                nn.ReLU(),
                nn.Linear(hidden, hidden),
                nn.BatchNorm1d(hidden),
                nn.ReLU(),
            )
            for _ in range(layers)
        )

    def forward(self, graphs: Batch) -> Tensor:
        """States; zero where there is no vertex."""
        there = graphs.ops < self.words
        H: Tensor = self.enter(graphs.ops)
        forth = graphs.adjacency.to(H.dtype)
        back = forth.transpose(-1, -2)
        for epsilon, hop in zip(self.epsilon, self.hops, strict=True):
            own = (1.0 + epsilon) * H
            if self.directed:
                seen = torch.cat([own, back @ H, forth @ H], dim=-1)
            else:
                seen = own + (forth + back) @ H
            # normalised over the vertices that are there
            H = torch.zeros_like(H).masked_scatter(there[..., None], hop(seen[there]))
        return H
