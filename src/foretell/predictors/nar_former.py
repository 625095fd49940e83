"""NAR-Former: a transformer on one token for each vertex, whose stages end in a single token."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from scipy.stats import loguniform
from torch import Tensor, nn

from foretell.errors import SettingError
from foretell.graphs.order import canonical
from foretell.graphs.tensors import Batch, batch
from foretell.predictors.parts.features import COUNTED, Encodings
from foretell.predictors.parts.losses import LOSSES, Loss
from foretell.predictors.parts.members import MLP, Linear, drop
from foretell.predictors.parts.neural import Neural
from foretell.predictors.parts.targets import Target
from foretell.predictors.parts.transformer import Norm, attention
from foretell.spaces.base import Rows, Space

FREQUENCIES = 32  # of the code of a number
TOKEN = 6 * FREQUENCIES  # sine and cosine of operation, place and sources


class NARFormer(Neural):
    """Tokens of operation, place and sources; an ensemble trained to order architectures.

    The token of vertex i, in topological order, is 192 numbers,

        [e(op(i)), e(i), sum over j -> i of e(j)],  e(x) = sin and cos of pi x (1 + k / 31),

    k = 0, ..., 31; the first vertex has e(-1) for its sources. A last token closes the sequence,
    and one before the first is a linear map and relu of the sequence's length in the same code.
    After `blocks` ordinary blocks (norm, attention, residual; norm, feed-forward, residual),
    stages of learnt queries sum the tokens up in four, two and at last one, each stage looking
    back at all tokens through the one before. A linear map gives the score.

    In training each row is seen in a random topological order as well, and with s and s' the
    scores of both,

        loss = L(s) + L(s') + consistency * mean (s - s')^2 + difference * mean |ds - dt|,

    where L is `loss`, and ds and dt are differences of scores and targets of randomly paired rows.

    Args:
        space: the space whose rows it sees.
        hidden: width that tokens are mapped to; None for 192 and no map.
        blocks: blocks before the fusing stages, at least 1.
        heads: attention heads; they divide the width.
        inner: width of the feed-forward layers, at least 1.
        head: widths of the layers between the last token and the score; () for a linear map.
        consistency: weight of the consistency of two orders; with 0 none but an order of the
            graph's own is seen in training.
        difference: weight of the loss on differences.
        encoding: features of the whole graph beside the last token (a name of the catalog, an
            `Encoding`, or a tuple of them); None for none.
        loss, target, members, epochs, min_steps, batch_size, lr, weight_decay: as in `GCN`.
        dropout: share of numbers left out, in [0, 1).
        device: where rows are scored, see `parts.neural.Neural`.
        random_state: non-negative seed, or None for fresh entropy.

    References: Yi et al. 2023, NAR-Former: Neural Architecture Representation Learning towards
    Holistic Attributes Prediction, sections 3.1-3.4.
    Differs: predictions are made in an order that does not depend on how vertices are numbered
    (`graphs.order.canonical`), so equal graphs get equal ones. The code e is exact, where the
    paper's of frequencies up to 2^31 leaves to rounding in single precision what most of them are.
    The paper has one member, squared error through a sigmoid, an average of weights and thousands
    of epochs, and no features of the graph: `NARFormer.paper(space)`, without sigmoid and average.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(60, rng=0)
    >>> model = NARFormer(space, min_steps=40, epochs=1, random_state=0)
    >>> mean = model.fit(X, (X == 3).sum(axis=1)).predict([[0] * 6, [3] * 6])
    >>> bool(mean[1] > mean[0] + 2)
    True
    """

    least: ClassVar[dict[str, int]] = {"blocks": 1, "heads": 1, "inner": 1}
    ranges: ClassVar = {
        "hidden": [24, 48, 96],
        "blocks": [1, 2, 3],
        "lr": loguniform(4e-3, 4e-2),
        "dropout": [0.0, 0.1, 0.2],
        "epochs": [20, 40, 80],
    }

    def __init__(
        self,
        space: Space,
        hidden: int | None = 48,
        blocks: int = 2,
        heads: int = 2,
        inner: int = 96,
        head: tuple[int, ...] = (48,),
        consistency: float = 0.0,
        difference: float = 0.0,
        encoding: Encodings | None = COUNTED,
        loss: Loss = "rank",
        target: Target = "rank",
        members: int = 2,
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
        self.inner = inner
        self.head = head
        self.consistency = consistency
        self.difference = difference
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
    def paper(cls, space: Space, random_state: int | None = None, **changes: Any) -> NARFormer:
        """The settings of the paper: one network, squared error of standardised targets."""
        settings: dict[str, Any] = {
            "hidden": None,
            "blocks": 6,
            "heads": 6,
            "inner": 768,
            "head": (),
            "consistency": 0.5,
            "difference": 0.1,
            "encoding": None,
            "loss": "mse",
            "target": "value",
            "members": 1,
            "epochs": 4000,
            "min_steps": 1,
            "batch_size": 128,
            "lr": 1e-4,
            "weight_decay": 1e-2,
            "dropout": 0.1,
        }
        return cls(space, random_state=random_state, **{**settings, **changes})

    def _check_settings(self) -> None:
        super()._check_settings()
        width = TOKEN if self.hidden is None else self.hidden
        if width < 1 or width % self.heads:
            raise SettingError(
                "hidden", expected=f"a multiple of heads = {self.heads}", got=self.hidden
            )
        for name in ("consistency", "difference"):
            if getattr(self, name) < 0:
                raise SettingError(name, expected="at least 0", got=getattr(self, name))

    def _view(self, X: Rows) -> Batch:
        graphs = canonical(self.space.graphs(X))
        self.places_ = graphs.ops.shape[1]  # the same for all rows of the space
        return batch(graphs, self._features(X), len(self.space.vocabulary))

    def _net(self, view: Batch, generator: torch.Generator) -> Network:
        return Network(
            self.members,
            len(self.space.vocabulary),
            self.places_,
            view.features.shape[1],
            hidden=self.hidden,
            blocks=self.blocks,
            heads=self.heads,
            inner=self.inner,
            head=self.head,
            dropout=self.dropout,
            generator=generator,
        )

    def _floats(self, view: Batch) -> int:
        return self.members * (view.ops.shape[1] + 2) * max(self.inner, TOKEN)

    def _loss(
        self, net: nn.Module, seen: Batch, goal: Tensor, generator: torch.Generator
    ) -> Tensor:
        scores = net(seen, generator)
        total = LOSSES[self.loss](scores, goal)
        if self.consistency > 0.0:
            again = net(seen, generator, random_places(seen.adjacency, generator))
            apart = (scores - again).square().mean(-1).sum()
            total = total + LOSSES[self.loss](again, goal) + self.consistency * apart
        if self.difference > 0.0:
            pair = torch.randperm(goal.shape[-1], generator=generator)
            wrong = (scores - scores[:, pair]) - (goal - goal[..., pair])
            total = total + self.difference * wrong.abs().nan_to_num().mean(-1).sum()
        return total


def code(count: int) -> Tensor:
    """e(x) of 0, ..., p - 1, where x and x + p have one code.

    The period p is 62 as in the paper, or more where `count` different numbers would not fit
    beside e(-1), the last row, and e(10^5), row p - 6.

    Shapes: (p, 64).
    """
    period = max(62, count + 6)
    x, k = torch.arange(period, dtype=torch.float64), torch.arange(FREQUENCIES)
    angle = 2.0 * math.pi / period * x[:, None] * (period // 2 + k)
    return torch.cat([angle.sin(), angle.cos()], dim=1).to(torch.float32)


def random_places(adjacency: Tensor, generator: torch.Generator) -> Tensor:
    """Places of the vertices in a random topological order: of the times at which they finish.

    A vertex starts when all that lead to it have finished, and takes an exponential time.

    Shapes: (n, v, v), every edge i -> j with i < j, vertices that are not there last, to (n, v).
    """
    n, v, _ = adjacency.shape
    times = -torch.rand(n, v, generator=generator).clamp(min=1e-12).log()
    for j in range(1, v):
        times[:, j] += (times[:, :j] * adjacency[:, :j, j]).amax(1)
    linked = adjacency.any(1) | adjacency.any(2)
    return times.masked_fill(~linked, torch.inf).argsort(1).argsort(1)


class Attention(nn.Module):
    """Attention of queries to tokens, heads joined by a linear map.

    Shapes: queries (M, n, q, width) and tokens (M, n, v, width) to (M, n, q, width).
    """

    def __init__(
        self, members: int, width: int, heads: int, learnt: bool, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.heads = heads
        self.query = None if learnt else Linear(members, width, width, generator)
        self.key_value = Linear(members, width, 2 * width, generator)
        self.join = Linear(members, width, width, generator)

    def forward(self, queries: Tensor, tokens: Tensor, there: Tensor) -> Tensor:
        """Learnt queries are taken as they are, others through a linear map."""
        key, value = self.key_value(tokens).chunk(2, dim=-1)
        query = queries if self.query is None else self.query(queries)
        joined: Tensor = self.join(attention(query, key, value, self.heads, there))
        return joined


class Residual(nn.Module):
    """x + ffn(norm(x)). Shapes: (M, n, v, width) to the same."""

    def __init__(
        self, members: int, width: int, inner: int, dropout: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.norm = Norm(members, width)
        self.feed_forward = MLP(members, [width, inner, width], generator, dropout)

    def forward(self, H: Tensor, generator: torch.Generator | None) -> Tensor:
        """The input and what the feed-forward layer adds."""
        after: Tensor = H + self.feed_forward(self.norm(H), generator)
        return after


class Block(nn.Module):
    """Self-attention with residual, or attention of other queries without, then a `Residual`.

    Args:
        queries: how many are learnt; None for those given.
    """

    def __init__(
        self,
        members: int,
        width: int,
        heads: int,
        inner: int,
        dropout: float,
        generator: torch.Generator,
        queries: int | None = None,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.norm = Norm(members, width)
        self.attention = Attention(members, width, heads, queries is not None, generator)
        self.residual = Residual(members, width, inner, dropout, generator)
        self.queries = (
            None
            if queries is None
            else nn.Parameter(torch.randn(members, 1, queries, width, generator=generator))
        )

    def forward(
        self,
        H: Tensor,
        there: Tensor,
        generator: torch.Generator | None,
        queries: Tensor | None = None,
    ) -> Tensor:
        """Tokens (M, n, v, width) to as many, or to as many as there are queries."""
        normal = self.norm(H)
        if self.queries is not None:
            queries = self.queries.expand(-1, H.shape[1], -1, -1)
        out = self.attention(normal if queries is None else queries, normal, there)
        out = drop(out, self.dropout, generator)
        after: Tensor = self.residual(H + out if queries is None else out, generator)
        return after


class Network(nn.Module):
    """M networks of `NARFormer` side by side. Shapes: (n graphs) to scores (M, n)."""

    code: Tensor

    def __init__(
        self,
        members: int,
        words: int,
        places: int,
        features: int,
        *,
        hidden: int | None,
        blocks: int,
        heads: int,
        inner: int,
        head: tuple[int, ...],
        dropout: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.members, self.words, self.dropout = members, words, dropout
        self.register_buffer("code", code(max(words, places + 1)))
        width = TOKEN if hidden is None else hidden
        self.map = None if hidden is None else Linear(members, TOKEN, width, generator)
        self.depth = Linear(members, 2 * FREQUENCIES, width, generator)
        sizes = (members, width, heads, inner, dropout, generator)
        self.blocks = nn.ModuleList(Block(*sizes) for _ in range(blocks))
        self.stages = nn.ModuleList(Block(*sizes, queries=q) for q in (4, 2, 1))
        self.back = nn.ModuleList(Block(*sizes) for _ in range(2))
        self.query_norms = nn.ModuleList(Norm(members, width) for _ in range(2))
        self.norm = Norm(members, width)
        self.head = MLP(members, [width + features, *head, 1], generator, dropout)

    def forward(
        self, graphs: Batch, generator: torch.Generator | None = None, places: Tensor | None = None
    ) -> Tensor:
        """Scores (M, n); with a `generator`, dropout is on.

        Args:
            graphs: vertices in topological order, those that are there first.
            generator: of dropout.
            places: of the vertices in another topological order, (n, v).
        """
        H, there = self._tokens(graphs, places)
        for block in self.blocks:
            H = block(H, there, generator)
        few = self.stages[0](H, there, generator)
        for stage, back, norm in zip(self.stages[1:], self.back, self.query_norms, strict=True):
            memory = back(H, there, generator, norm(few))
            every = memory.new_ones(memory.shape[1:3], dtype=torch.bool)
            few = stage(memory, every, generator)
        features = graphs.features.expand(self.members, -1, -1)
        score: Tensor = self.head(torch.cat([self.norm(few).squeeze(2), features], -1), generator)
        return score.squeeze(-1)

    def _tokens(self, graphs: Batch, places: Tensor | None) -> tuple[Tensor, Tensor]:
        """Tokens (M, n, v + 2, width): depth, close, vertices; and which are there."""
        there = graphs.ops < self.words
        n, v = there.shape
        if places is None:
            places = torch.arange(v, device=there.device).expand(n, v)
        place = self.code[places]
        sources = torch.matmul(graphs.adjacency.transpose(1, 2).to(place.dtype), place)
        sources = torch.where((places == 0)[..., None], self.code[-1], sources)
        op = self.code[graphs.ops.clamp(max=self.words - 1)]
        close = self.code[-6].repeat(3).expand(n, 1, -1)
        raw = torch.cat([close, torch.cat([op, place, sources], dim=-1)], dim=1)
        raw = raw.expand(self.members, -1, -1, -1)
        length = self.code[there.sum(1)].expand(self.members, n, -1)
        depth = torch.relu(self.depth(length)).unsqueeze(2)
        H = torch.cat([depth, raw if self.map is None else self.map(raw)], dim=2)
        return H, nn.functional.pad(there, (2, 0), value=True)
