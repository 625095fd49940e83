"""PINAT: a transformer some of whose heads are sums over the edges of the graph."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import torch
from scipy.stats import loguniform
from torch import Tensor, nn

from foretell.graphs.order import canonical
from foretell.graphs.tensors import Batch, batch
from foretell.predictors.parts.features import COUNTED, Encodings
from foretell.predictors.parts.losses import Loss
from foretell.predictors.parts.members import MLP, Linear, along, drop
from foretell.predictors.parts.neural import Neural
from foretell.predictors.parts.targets import Target
from foretell.predictors.parts.transformer import Norm, attention
from foretell.spaces.base import Rows, Space

_SLOPE = 0.2  # of leaky relu


class PINAT(Neural):
    """Permutation-invariant transformer; an ensemble trained to order architectures.

    Vertices are tokens: the embedding of the operation, plus a linear map of the vertex's row of
    the Laplacian D - A (D the out-degrees), plus a stack of three set convolutions over the edges
    (the permutation-invariant token embedding), normalised. A set convolution of t heads is

        m_i = sum over j in in(i) and i of leaky(u * (x_j T) + v),
        out_i[h] = c_h * leaky(sum over t of w_th * m_i[t] + b_h),

    with * by channel; each has a linear map beside it, with ELU between. Then blocks of

        H <- norm(H + [attention(H), set convolutions(H)] W),  H <- norm(H + ffn(H)),

    half of the heads ordinary attention between all vertices, half the same stack over the edges.
    The score is the mean over vertices, beside the features of the graph, through two linear
    maps. Training, uncertainty and units are those of `Neural`.

    Args:
        space: the space whose rows it sees.
        hidden: width of a token, at least 1.
        blocks: number of blocks, at least 1.
        heads: attention heads of a block, and as many of the set convolutions, at least 1.
        head_width: width of one of these heads, at least 1.
        set_hidden: width of a head inside a stack of set convolutions, at least 1.
        set_heads: its heads in the token embedding, at least 1.
        inner: width of the feed-forward layer, at least 1.
        head: width between the two linear maps at the end, at least 1.
        encoding: features of the whole graph beside the pooled vertices (a name of the catalog,
            an `Encoding`, or a tuple of them); None for none. With it the head has a relu.
        loss, target, members, epochs, min_steps, batch_size, lr, weight_decay: as in `GCN`.
        dropout: share of numbers left out, in [0, 1).
        device: where rows are scored, see `parts.neural.Neural`.
        random_state: non-negative seed, or None for fresh entropy.

    References: Lu et al. 2023, PINAT: A Permutation INvariance Augmented Transformer for NAS
    Predictor, section 3, and the authors' code (whose set convolutions have no attention weights).
    Differs: rows of the Laplacian change when vertices are renamed, so vertices are put into an
    order of their own first (`graphs.order.canonical`): equal graphs get equal predictions. The
    paper has one member, squared error and no features of the graph: `PINAT.paper(space)`; between
    the two maps of its head is no relu, and no bias.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(60, rng=0)
    >>> model = PINAT(space, members=2, min_steps=40, epochs=1, random_state=0)
    >>> mean = model.fit(X, (X == 3).sum(axis=1)).predict([[0] * 6, [3] * 6])
    >>> bool(mean[1] > mean[0] + 2)
    True
    """

    least: ClassVar[dict[str, int]] = {
        "hidden": 1,
        "blocks": 1,
        "heads": 1,
        "head_width": 1,
        "set_hidden": 1,
        "set_heads": 1,
        "inner": 1,
        "head": 1,
    }
    ranges: ClassVar = {
        "hidden": [16, 32, 64],
        "blocks": [1, 2, 3],
        "lr": loguniform(4e-3, 4e-2),
        "dropout": [0.0, 0.1, 0.2],
        "epochs": [20, 40, 80],
    }

    def __init__(
        self,
        space: Space,
        hidden: int = 32,
        blocks: int = 1,
        heads: int = 2,
        head_width: int = 16,
        set_hidden: int = 16,
        set_heads: int = 2,
        inner: int = 64,
        head: int = 48,
        encoding: Encodings | None = COUNTED,
        loss: Loss = "rank",
        target: Target = "rank",
        members: int = 3,
        epochs: int = 40,
        min_steps: int = 250,
        batch_size: int = 32,
        lr: float = 2e-2,
        weight_decay: float = 1e-2,
        dropout: float = 0.1,
        device: str = "auto",
        random_state: int | None = None,
    ) -> None:
        self.space = space
        self.hidden = hidden
        self.blocks = blocks
        self.heads = heads
        self.head_width = head_width
        self.set_hidden = set_hidden
        self.set_heads = set_heads
        self.inner = inner
        self.head = head
        self.encoding = encoding
        self.loss = loss
        self.target = target
        self.members = members
        self.epochs = epochs
        self.min_steps = min_steps
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.device = device
        self.random_state = random_state

    @classmethod
    def paper(cls, space: Space, random_state: int | None = None, **changes: Any) -> PINAT:
        """The settings of the paper: one network, squared error of standardised targets."""
        settings: dict[str, Any] = {
            "hidden": 80,
            "blocks": 3,
            "heads": 2,
            "head_width": 64,
            "set_hidden": 16,
            "set_heads": 6,
            "inner": 512,
            "head": 96,
            "encoding": None,
            "loss": "mse",
            "target": "value",
            "members": 1,
            "epochs": 300,
            "min_steps": 1,
            "batch_size": 10,
            "lr": 1e-4,
            "weight_decay": 1e-3,
            "dropout": 0.1,
        }
        return cls(space, random_state=random_state, **{**settings, **changes})

    def _view(self, X: Rows) -> Batch:
        graphs = canonical(self.space.graphs(X))
        self.positions_ = graphs.ops.shape[1]  # the same for all rows of the space
        return batch(graphs, self._features(X), len(self.space.vocabulary))

    def _inputs(self, view: Batch) -> Tokens:
        return tokens(view, len(self.space.vocabulary), self.positions_)

    def _net(self, view: Batch, generator: torch.Generator) -> Transformer:
        return Transformer(
            self.members,
            len(self.space.vocabulary),
            self.positions_,
            view.features.shape[1],
            hidden=self.hidden,
            blocks=self.blocks,
            heads=self.heads,
            head_width=self.head_width,
            set_hidden=self.set_hidden,
            set_heads=self.set_heads,
            inner=self.inner,
            head=self.head,
            dropout=self.dropout,
            generator=generator,
        )

    def _floats(self, view: Batch) -> int:
        widest = max(self.inner, 2 * self.heads * self.head_width * self.heads, self.hidden)
        return self.members * view.ops.shape[1] * widest


class Tokens(NamedTuple):
    """What the network reads of n graphs.

    Shapes: `hot` (n, v, words) one-hot operations; `into` (n, v, v), [i, j] one where j leads to i
    and for i = j; `laplacian` (n, v, p); `there` (n, v) bool; `features` (n, f).
    """

    hot: Tensor
    into: Tensor
    laplacian: Tensor
    there: Tensor
    features: Tensor

    def take(self, rows: Tensor) -> Tokens:
        """Some of the graphs."""
        return Tokens(*(one[rows] for one in self))


def tokens(graphs: Batch, words: int, positions: int) -> Tokens:
    """The network's view of `graphs`, their Laplacian in `positions` columns."""
    hot = nn.functional.one_hot(graphs.ops, words + 1)[..., :-1].to(torch.float32)
    edges = graphs.adjacency.to(torch.float32)
    v = edges.shape[-1]
    laplacian = torch.diag_embed(edges.sum(-1)) - edges
    return Tokens(
        hot,
        edges.transpose(-1, -2) + torch.eye(v, device=edges.device),
        nn.functional.pad(laplacian, (0, positions - v)),
        graphs.ops < words,
        graphs.features,
    )


class SetConvolution(nn.Module):
    """A sum over in-neighbours and the vertex itself; see `PINAT`.

    Shapes: (M, n, v, inputs) and `into` (n, v, v) to (M, n, v, heads * outputs), or with `mean`
    over the heads to (M, n, v, outputs).
    """

    def __init__(
        self,
        members: int,
        inputs: int,
        outputs: int,
        heads: int,
        generator: torch.Generator,
        mean: bool = False,
    ) -> None:
        super().__init__()
        self.mean = mean
        self.spread = Linear(members, inputs, heads * outputs, generator, bias=False)
        self.u = _uniform((members, 1, 1, outputs), 2, generator)
        self.v = nn.Parameter(torch.zeros(members, 1, 1, outputs))
        self.w = _uniform((members, heads, heads, outputs), heads + 1, generator)
        self.b = nn.Parameter(torch.zeros(members, heads, outputs))
        self.c = _uniform((members, heads, outputs), heads + outputs, generator)

    def forward(self, H: Tensor, into: Tensor) -> Tensor:
        """The layer of all members."""
        leaky = nn.functional.leaky_relu
        members, n, v, _ = H.shape
        heads, outputs = self.c.shape[1:]
        x = self.spread(H).view(members, n * v, heads, outputs)
        x = leaky(torch.addcmul(self.v, x, self.u), _SLOPE)
        summed = along(into, x.view(members, n, v, -1)).view(x.shape)
        mixed = torch.einsum("mnto,mtho->mnho", summed, self.w)
        out = self.c[:, None] * leaky(mixed + self.b[:, None], _SLOPE)
        return (out.mean(2) if self.mean else out).reshape(members, n, v, -1)


def _uniform(shape: tuple[int, ...], fans: int, generator: torch.Generator) -> nn.Parameter:
    """Xavier-uniform numbers, of fan-in and fan-out together `fans`."""
    return nn.Parameter((6.0 / fans) ** 0.5 * (2.0 * torch.rand(shape, generator=generator) - 1.0))


class SetStack(nn.Module):
    """Three set convolutions, each with a linear map beside it, ELU between."""

    def __init__(
        self,
        members: int,
        inputs: int,
        hidden: int,
        heads: int,
        outputs: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        wide = heads * hidden
        sizes = [(inputs, hidden, wide), (wide, hidden, wide), (wide, outputs, outputs)]
        self.sets = nn.ModuleList(
            SetConvolution(members, rows, columns, heads, generator, mean=k == 2)
            for k, (rows, columns, _) in enumerate(sizes)
        )
        self.linear = nn.ModuleList(
            Linear(members, rows, total, generator) for rows, _, total in sizes
        )

    def forward(self, H: Tensor, into: Tensor) -> Tensor:
        """Shapes: (M, n, v, inputs) to (M, n, v, outputs)."""
        for k, (over, beside) in enumerate(zip(self.sets, self.linear, strict=True)):
            H = nn.functional.elu(H) if k else H
            H = over(H, into) + beside(H)
        return H


class Block(nn.Module):
    """Attention beside set convolutions, then a feed-forward layer."""

    def __init__(
        self,
        members: int,
        hidden: int,
        heads: int,
        head_width: int,
        set_hidden: int,
        inner: int,
        dropout: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        wide = heads * head_width
        self.heads, self.dropout = heads, dropout
        self.project = Linear(members, hidden, 3 * wide, generator, bias=False)
        self.stack = SetStack(members, hidden, set_hidden, heads, wide, generator)
        self.join = Linear(members, 2 * wide, hidden, generator, bias=False)
        self.feed_forward = MLP(members, [hidden, inner, hidden], generator)
        self.norms = nn.ModuleList(Norm(members, hidden) for _ in range(2))

    def forward(self, H: Tensor, graphs: Tokens, generator: torch.Generator | None) -> Tensor:
        """Shapes: (M, n, v, hidden) to the same."""
        query, key, value = self.project(H).chunk(3, dim=-1)
        both = [
            self.stack(H, graphs.into),
            attention(query, key, value, self.heads, graphs.there),
        ]
        joined = drop(self.join(torch.cat(both, dim=-1)), self.dropout, generator)
        H = self.norms[0](H + joined)
        after: Tensor = self.norms[1](H + drop(self.feed_forward(H), self.dropout, generator))
        return after


class Transformer(nn.Module):
    """M networks of `PINAT` side by side. Shapes: (n graphs) to scores (M, n)."""

    def __init__(
        self,
        members: int,
        words: int,
        positions: int,
        features: int,
        *,
        hidden: int,
        blocks: int,
        heads: int,
        head_width: int,
        set_hidden: int,
        set_heads: int,
        inner: int,
        head: int,
        dropout: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.members, self.dropout = members, dropout
        self.embedding = Linear(members, words, hidden, generator, bias=False)
        self.position = Linear(members, positions, hidden, generator)
        self.stack = SetStack(members, words, set_hidden, set_heads, hidden, generator)
        self.norm = Norm(members, hidden)
        self.blocks = nn.ModuleList(
            Block(members, hidden, heads, head_width, set_hidden, inner, dropout, generator)
            for _ in range(blocks)
        )
        self.head = MLP(members, [hidden + features, head, 1], generator, dropout)

    def forward(self, graphs: Tokens, generator: torch.Generator | None = None) -> Tensor:
        """Scores (M, n); with a `generator`, dropout is on."""
        hot, laplacian = (
            one.expand(self.members, *one.shape) for one in (graphs.hot, graphs.laplacian)
        )
        H = drop(self.embedding(hot) + self.position(laplacian), self.dropout, generator)
        H = self.norm(H + drop(self.stack(hot, graphs.into), self.dropout, generator))
        for block in self.blocks:
            H = block(H, graphs, generator)
        share = graphs.there / graphs.there.sum(-1, keepdim=True)
        pooled = torch.matmul(share.unsqueeze(1), H).squeeze(2)
        features = graphs.features.expand(self.members, -1, -1)
        score: Tensor = self.head(torch.cat([pooled, features], dim=-1), generator)
        return score.squeeze(-1)
