"""CATE: a transformer that fills in hidden operations, with a network of similar size beside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from foretell.encodings.parts.learnt import Learnt
from foretell.errors import SettingError
from foretell.graphs.tensors import Batch, mean
from foretell.spaces.base import Rows, Space

_SMOOTH = 0.1  # of the labels
_NEAREST = 2  # rows that a row is paired with: the next ones by size


class CATE(Learnt):
    """Mean state of the vertices in a transformer that has learnt to fill in operations.

    Two architectures of similar computation are read together, with a share of the operations of
    both hidden. Blocks of self-attention along the dependencies of each, then one of attention to
    the other,

        H <- H + attention(H, H; mask of dependencies),    H <- H + mlp(H),
        H_a <- H_a + attention(H_a, H_b),    and the same for b,

    give the states that the hidden operations are told from (cross-entropy). Heads take turns:
    direct predecessors, direct successors, all ancestors, all descendants, each with the vertex
    itself. The feature is the mean state over the vertices, the architecture beside itself. Size
    is the number of parameters where the space has a closed form, else vertices and operations are
    counted. The encoding does not change when vertices are renamed.

    Args:
        space: the space whose rows it sees.
        latent: width of the states, and size of the encoding; a multiple of 4.
        layers: blocks of self-attention.
        hide: share of operations that are hidden, in (0, 1].
        rows: architectures to learn from.
        steps: of the optimiser.
        batch_size: pairs of architectures in a step.
        lr: highest learning rate.
        seed: of rows and weights.
        path: .safetensors file of weights that `save` has written, or None to learn them.

    Shapes: (n, d) to (n, latent).

    References: Yan et al. 2021, CATE: Computation-aware Neural Architecture Encoding with
    Transformers, section 3.
    Differs: the paper has 12 blocks, ancestors alone in all heads, and learns from the whole space.

    >>> import foretell as ft
    >>> own = ft.Space.from_choices({"depth": [1, 2, 3], "op": ["a", "b"]}, build=print)
    >>> CATE(own, latent=8, rows=8, steps=5).transform(own.sample(3, rng=0)).shape
    (3, 8)
    """

    def __init__(
        self,
        space: Space,
        latent: int = 64,
        layers: int = 3,
        hide: float = 0.2,
        rows: int = 4096,
        steps: int = 400,
        batch_size: int = 24,
        lr: float = 2e-3,
        seed: int = 0,
        path: str | Path | None = None,
    ) -> None:
        self.space = space
        self.latent = latent
        self.layers = layers
        self.hide = hide
        self.rows = rows
        self.steps = steps
        self.batch_size = batch_size
        self.lr = lr
        self.seed = seed
        self.path = path

    def _module(self) -> Transformer:
        if self.latent < 4 or self.latent % 4:
            raise SettingError("latent", expected="a multiple of 4", got=self.latent)
        if self.layers < 1:
            raise SettingError("layers", expected="at least 1", got=self.layers)
        if not 0 < self.hide <= 1:
            raise SettingError("hide", expected="above 0, at most 1", got=self.hide)
        return Transformer(len(self.space.vocabulary), self.latent, self.layers, self.hide)

    def _groups(self, X: Rows) -> NDArray[np.int64]:
        """Pairs (m, 2) of rows of similar size."""
        if self.space.closed_form_costs:
            order = np.argsort(self.space.costs(X).params, kind="stable")
        else:
            ops = self.space.graphs(X).ops
            counts = [(ops == word).sum(axis=1) for word in range(len(self.space.vocabulary))]
            order = np.lexsort([*counts, (ops >= 0).sum(axis=1)])
        pairs = [np.stack([order[:-k], order[k:]], axis=1) for k in range(1, _NEAREST + 1)]
        return np.concatenate(pairs) if len(X) > 1 else np.zeros((1, 2), dtype=np.int64)

    def _embed(self, module: Any, graphs: Batch) -> Tensor:
        states = module.states(graphs.ops, graphs)
        return mean(module.beside(states, states, graphs), graphs.ops < module.words)


class Transformer(nn.Module):
    """The network of `CATE`; graphs 2k and 2k + 1 of a batch are a pair.

    Args:
        words: size of the vocabulary.
        width: of the states.
        layers: blocks of self-attention.
        hide: share of operations hidden.
    """

    def __init__(self, words: int, width: int, layers: int, hide: float) -> None:
        super().__init__()
        self.words, self.hide = words, hide
        self.enter = nn.Embedding(words + 2, width, padding_idx=words)  # no vertex; a hidden one
        self.blocks = nn.ModuleList(Block(width) for _ in range(layers))
        self.across = Block(width)
        self.write = nn.Linear(width, words)

    def states(self, ops: Tensor, graphs: Batch) -> Tensor:
        """States (n, v, width) of each graph alone, with the operations `ops` (n, v)."""
        heads = dependencies(graphs.adjacency)
        H: Tensor = self.enter(ops)
        for block in self.blocks:
            H = block(H, H, heads)
        return H

    def beside(self, states: Tensor, others: Tensor, graphs: Batch) -> Tensor:
        """States of graphs (n, v, width) that have read those of others; `graphs` of the others."""
        there = (graphs.ops < self.words)[:, None, None, :]
        read: Tensor = self.across(states, others, there)
        return read

    def loss(self, graphs: Batch) -> Tensor:
        """Cross-entropy of the hidden operations, with smoothed labels."""
        hidden = (torch.rand(graphs.ops.shape) < self.hide) & (graphs.ops < self.words)
        states = self.states(graphs.ops.masked_fill(hidden, self.words + 1), graphs)
        other = torch.arange(len(states)) ^ 1  # of the pair
        logits = self.write(self.beside(states, states[other], graphs.take(other)))
        target = graphs.ops.masked_fill(~hidden, -100)
        total = nn.functional.cross_entropy(
            logits.flatten(0, 1), target.flatten(), label_smoothing=_SMOOTH, reduction="sum"
        )
        return total / hidden.sum().clamp(min=1)


class Block(nn.Module):
    """Attention of four heads from H to K, then a perceptron, each normalised before and added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.inner_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.inner = nn.Sequential(
            nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)
        )

    def forward(self, H: Tensor, K: Tensor, seen: Tensor) -> Tensor:
        """H and K (n, v, width), and which keys a head may see (n, 4 or 1, v or 1, v)."""

        def split(one: Tensor) -> Tensor:
            return one.view(*one.shape[:2], 4, -1).transpose(1, 2)

        key, value = self.key_value(self.norm(K)).chunk(2, dim=-1)
        read = nn.functional.scaled_dot_product_attention(
            split(self.query(self.norm(H))),
            split(key),
            split(value),
            attn_mask=torch.zeros(seen.shape, dtype=H.dtype).masked_fill(~seen, -1e9),
        )
        H = H + self.out(read.transpose(1, 2).flatten(2))
        total: Tensor = H + self.inner(self.inner_norm(H))
        return total


def dependencies(adjacency: Tensor) -> Tensor:
    """What each head sees: predecessors, successors, ancestors, descendants; and the vertex itself.

    Shapes: adjacency (n, v, v) bool to (n, 4, v, v) bool, [a, h, i, j] true where i sees j.
    """
    own = torch.eye(adjacency.shape[-1], dtype=torch.bool)
    forth = adjacency | own
    far, reach = forth.float(), 1
    while reach < adjacency.shape[-1] - 1:  # paths of up to `reach` edges
        far, reach = (far @ far).clamp(max=1.0), 2 * reach
    far_forth = far > 0
    return torch.stack([forth.mT, forth, far_forth.mT, far_forth], dim=1)
