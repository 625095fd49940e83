"""FLAN: information flow and graph attention, with any encodings beside."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from scipy.stats import loguniform
from torch import Tensor, nn

from foretell.graphs.tensors import Batch
from foretell.predictors.gates import Flow, flow
from foretell.predictors.parts.features import COUNTED, Encodings
from foretell.predictors.parts.losses import Loss
from foretell.predictors.parts.members import MLP, Linear, along, draw, drop
from foretell.predictors.parts.neural import Neural
from foretell.predictors.parts.targets import Target
from foretell.spaces.base import Space

_SLOPE = 0.2  # of leaky relu
_RATE = 0.1  # of the update of the operations' embeddings


class FLAN(Neural):
    """Flow attention networks; an ensemble trained to order architectures.

    Vertex i has information h_i, at first one learnt vector of the input or another of all other
    vertices, and an embedding e_i of its operation (zero for the input). A layer is the mean of
    two branches, the flow of GATES and attention to the predecessors,

        flow_i = sigma(W_1 e_i + c_1) * sum over j -> i of V_1 h_j + V_1 h_i + b,
        attn_i = norm(sigma(W_2 e_i + c_2) * sum over j -> i of a_ij V_2 h_j),
        a_ij = softmax over j of leaky(u . (V_2 h_i * V_2 h_j)),

    with relu between layers. After all layers but in the last of `steps` passes, layers of the
    same kind carry what the output has made of h backwards against the edges, to g, and
    operations learn from both, as in TA-GATES,

        e_i <- e_i + 0.1 MLP(e_i, h_i, g_i).

    The score is an MLP of the mean of h over all vertices but the input, beside an MLP of the
    supplementary encodings: any of the catalog, such as learnt ones (arch2vec, CATE).

    Args:
        space: the space whose rows it sees.
        embed: width of the embeddings of operations, at least 1.
        hidden: width of the graph layers, at least 1.
        layers: number of graph layers in a pass, at least 1.
        steps: passes forward; with 1 operations keep their embedding.
        head: widths of the layers between encodings and score.
        side: widths of the layers between supplementary encodings and the head; () for none.
        encoding: the supplementary encodings (a name of the catalog, an `Encoding`, or a tuple
            of them); None for none.
        loss, target, members, epochs, min_steps, batch_size, lr, weight_decay: as in `GCN`.
        dropout: share of numbers left out, in [0, 1).
        device: where rows are scored, see `parts.neural.Neural`.
        random_state: non-negative seed, or None for fresh entropy.

    References: Akhauri & Abdelfattah 2024, Encodings for Prediction-based Neural Architecture
    Search, sections 3-4; Ning et al. 2022 (TA-GATES, the passes).
    Differs: attention has no weight where there is no edge, where the authors' code gives it the
    logit zero. The paper has one member, hinge loss, and arch2vec, CATE and zero-cost scores as
    supplementary encodings: `FLAN.paper(space, encoding=...)`.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(60, rng=0)
    >>> model = FLAN(space, members=2, min_steps=40, epochs=1, random_state=0)
    >>> mean = model.fit(X, (X == 3).sum(axis=1)).predict([[0] * 6, [3] * 6])
    >>> bool(mean[1] > mean[0] + 2)
    True
    """

    least: ClassVar[dict[str, int]] = {"embed": 1, "hidden": 1, "layers": 1, "steps": 1}
    ranges: ClassVar = {
        "hidden": [16, 32, 64],
        "layers": [2, 3, 4],
        "steps": [1, 2, 3],
        "lr": loguniform(4e-3, 4e-2),
        "dropout": [0.0, 0.1, 0.2],
        "epochs": [20, 40, 80],
    }

    def __init__(
        self,
        space: Space,
        embed: int = 16,
        hidden: int = 32,
        layers: int = 3,
        steps: int = 2,
        head: tuple[int, ...] = (48,),
        side: tuple[int, ...] = (),
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
        self.embed = embed
        self.hidden = hidden
        self.layers = layers
        self.steps = steps
        self.head = head
        self.side = side
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
    def paper(cls, space: Space, random_state: int | None = None, **changes: Any) -> FLAN:
        """The settings of the paper, but without supplementary encodings: name them."""
        settings: dict[str, Any] = {
            "embed": 48,
            "hidden": 128,
            "layers": 5,
            "steps": 2,
            "head": (200, 200, 200),
            "side": (128, 128, 48),
            "encoding": None,
            "loss": "hinge",
            "members": 1,
            "epochs": 150,
            "min_steps": 1,
            "batch_size": 8,
            "lr": 1e-3,
            "weight_decay": 1e-5,
            "dropout": 0.1,
        }
        return cls(space, random_state=random_state, **{**settings, **changes})

    def _inputs(self, view: Batch) -> Flow:
        return flow(view, len(self.space.vocabulary), "mean")

    def _net(self, view: Batch, generator: torch.Generator) -> FlowAttention:
        return FlowAttention(
            self.members,
            len(self.space.vocabulary),
            view.features.shape[1],
            embed=self.embed,
            hidden=self.hidden,
            layers=self.layers,
            steps=self.steps,
            head=list(self.head),
            side=list(self.side),
            dropout=self.dropout,
            generator=generator,
        )

    def _floats(self, view: Batch) -> int:
        v = view.ops.shape[1]
        return self.members * v * max(2 * self.layers * self.hidden, v)


class Layers(nn.Module):
    """Graph layers of both branches, relu between; see `FLAN`."""

    def __init__(
        self, members: int, embed: int, hidden: int, layers: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.gates = Linear(members, embed, 2 * layers * hidden, generator)
        self.values = nn.ModuleList(
            Linear(members, hidden, 2 * hidden, generator, bias=False) for _ in range(layers)
        )
        self.attend = nn.ParameterList(draw(members, 1, hidden, generator) for _ in range(layers))
        self.biases = nn.Parameter(torch.zeros(layers, members, 1, 1, hidden))

    def forward(
        self,
        H: Tensor,
        E: Tensor,
        edges: Tensor,
        dropout: float,
        generator: torch.Generator | None,
    ) -> Tensor:
        """Information (M, n, v, hidden) after all layers.

        Args:
            H: information before, (M, n, v, hidden).
            E: embeddings of the operations, (M, n, v, embed).
            edges: (n, v, v), 1 at [i, j] where i takes from j.
            dropout: share of H left out between layers.
            generator: of dropout; None for none.
        """
        layers = len(self.values)
        gates = torch.sigmoid(self.gates(E)).chunk(2 * layers, dim=-1)
        nowhere = edges == 0.0
        for k, (value, attend, bias) in enumerate(
            zip(self.values, self.attend, self.biases, strict=True)
        ):
            flowing, attended = value(H).chunk(2, dim=-1)
            straight = gates[2 * k] * along(edges, flowing) + flowing + bias
            logits = torch.matmul(attended * attend.unsqueeze(1), attended.transpose(-1, -2))
            logits = nn.functional.leaky_relu(logits, _SLOPE).masked_fill(nowhere, -1e9)
            weights = logits.softmax(-1) * edges  # vertices that take from none get nothing
            taken = gates[2 * k + 1] * torch.matmul(weights, attended)
            H = (straight + nn.functional.layer_norm(taken, taken.shape[-1:])) / 2.0
            if k + 1 < layers:
                H = drop(torch.relu(H), dropout, generator)
        return H


class FlowAttention(nn.Module):
    """M networks of `FLAN` side by side. Shapes: (n graphs) to scores (M, n)."""

    def __init__(
        self,
        members: int,
        words: int,
        features: int,
        *,
        embed: int,
        hidden: int,
        layers: int,
        steps: int,
        head: list[int],
        side: list[int],
        dropout: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.steps, self.dropout = steps, dropout
        self.embedding = draw(members, words, embed, generator)
        self.begin = draw(members, 2, hidden, generator)
        self.forth = Layers(members, embed, hidden, layers, generator)
        if steps > 1:
            self.turn = MLP(members, [hidden, hidden, hidden], generator)
            self.back = Layers(members, embed, hidden, layers, generator)
            self.update = MLP(members, [embed + 2 * hidden, hidden, embed], generator)
        self.side = (
            MLP(members, [features, *side], generator, dropout) if side and features else None
        )
        wide = hidden + (side[-1] if side and features else features)
        self.head = MLP(members, [wide, *head, 1], generator, dropout)

    def forward(self, view: Flow, generator: torch.Generator | None = None) -> Tensor:
        """Scores (M, n); with a `generator`, dropout is on."""
        members = len(self.embedding)
        start = view.start[None, :, :, None]
        first, other = self.begin[:, None, None, 0], self.begin[:, None, None, 1]
        H_0 = start * first + (1.0 - start) * other
        E = (1.0 - start) * torch.matmul(view.hot, self.embedding.unsqueeze(1))
        H = self.forth(H_0, E, view.into, self.dropout, generator)
        for _ in range(self.steps - 1):
            ends = view.last[None, :, :, None] * self.turn(H)
            B = self.back(ends, E, view.into.transpose(1, 2), self.dropout, generator)
            E = E + _RATE * self.update(torch.cat([E.detach(), H.detach(), B], dim=-1))
            H = self.forth(H_0, E, view.into, self.dropout, generator)
        parts = [torch.matmul(view.share, H).squeeze(2)]
        if view.features.shape[1]:
            features = view.features.expand(members, -1, -1)
            parts.append(features if self.side is None else self.side(features, generator))
        score: Tensor = self.head(torch.cat(parts, dim=-1), generator)
        return score.squeeze(-1)
