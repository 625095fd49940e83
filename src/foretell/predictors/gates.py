"""GATES: operations as gates on the information that flows through the graph."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from foretell.errors import SettingError
from foretell.graphs.tensors import Batch
from foretell.predictors.parts.features import COUNTED, Encodings
from foretell.predictors.parts.losses import Loss
from foretell.predictors.parts.members import MLP, Linear, along, draw, drop
from foretell.predictors.parts.neural import RANGES, Neural
from foretell.predictors.parts.targets import Target
from foretell.spaces.base import Space

Readout = Literal["mean", "output"]


class Flow(NamedTuple):
    """What the network reads of n graphs.

    Shapes: `hot` (n, v, words), the operations; `into` (n, v, v), 1 at [i, j] for an edge j -> i;
    `start` and
    `last` (n, v), 1 at the input and at the output; `share` (n, 1, v), weights of the readout;
    `features` (n, f), of the whole graph.
    """

    hot: Tensor
    into: Tensor
    start: Tensor
    last: Tensor
    share: Tensor
    features: Tensor

    def take(self, rows: Tensor | slice) -> Flow:
        """Some of the graphs."""
        return Flow(*(one[rows] for one in self))


def flow(graphs: Batch, words: int, readout: Readout) -> Flow:
    """The network's view of `graphs`."""
    hot = nn.functional.one_hot(graphs.ops, words + 1)[..., :-1].to(torch.float32)
    there = graphs.ops < words
    start = there & (graphs.ops == 0)
    last = there & (graphs.ops == 1)
    if readout not in ("mean", "output"):
        raise SettingError("readout", expected="'mean' or 'output'", got=repr(readout))
    read = (last if readout == "output" else there & ~start).to(torch.float32)
    share = read / read.sum(1, keepdim=True).clamp(min=1.0)
    return Flow(
        hot,
        graphs.adjacency.transpose(1, 2).to(torch.float32),
        start.to(torch.float32),
        last.to(torch.float32),
        share.unsqueeze(1),
        graphs.features,
    )


class Gates(nn.Module):
    """M GATES encoders and heads side by side.

    Vertex i starts with information H_0 (the learnt one of the input, or a shared one) and
    carries the embedding E of its operation. A layer is

        H_{l+1} = sigma(E W_o + c) * (A^T H_l W_f) + H_l W_f + b,

    with a relu between layers. The score is an MLP of the mean of H_L over the read vertices,
    beside the features of the graph.
    """

    def __init__(
        self,
        members: int,
        words: int,
        features: int,
        *,
        embed: int,
        hidden: int,
        layers: int,
        head: tuple[int, ...],
        dropout: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.embedding = draw(members, words, embed, generator)
        self.begin = draw(members, 2, hidden, generator)
        self.values = nn.ModuleList(
            Linear(members, hidden, hidden, generator, bias=False) for _ in range(layers)
        )
        self.gates = Linear(members, embed, layers * hidden, generator)
        self.biases = nn.Parameter(torch.zeros(layers, members, 1, 1, hidden))
        self.head = MLP(members, [hidden + features, *head, 1], generator, dropout)

    def forward(self, view: Flow, generator: torch.Generator | None = None) -> Tensor:
        """Scores (M, n); with a `generator`, dropout is on."""
        members = len(self.embedding)
        E = torch.matmul(view.hot, self.embedding.unsqueeze(1))
        H = self.information(view, E, generator)
        pooled = torch.matmul(view.share, H).squeeze(2)
        wide = torch.cat([pooled, view.features.expand(members, -1, -1)], dim=-1)
        score: Tensor = self.head(wide, generator)
        return score.squeeze(-1)

    def information(self, view: Flow, E: Tensor, generator: torch.Generator | None) -> Tensor:
        """Information (M, n, v, hidden) at the vertices after all layers."""
        first, other = self.begin[:, None, None, 0], self.begin[:, None, None, 1]
        start = view.start[None, :, :, None]
        H = start * first + (1.0 - start) * other
        gates = torch.sigmoid(self.gates(E)).chunk(len(self.values), dim=-1)
        for depth, (value, gate, bias) in enumerate(
            zip(self.values, gates, self.biases, strict=True)
        ):
            V = value(H)
            H = gate * along(view.into, V) + V + bias
            if depth + 1 < len(self.values):
                H = drop(torch.relu(H), self.dropout, generator)
        return H


class GATES(Neural):
    """GATES: what a vertex hears is let through by a gate that its operation sets.

    The graph is read as a forward pass: information starts at the input, and every operation is
    a soft gate on what flows through it (`Gates` has the equations). Trained by pairs,

        loss = mean over pairs y_i > y_j of log(1 + exp(s_j - s_i)).

    Args:
        space: the space whose rows it sees.
        embed: width of an operation's embedding, at least 1.
        hidden: width of the information, at least 1.
        layers: number of layers, at least 1; information moves by one edge in each.
        head: widths of the hidden layers between the pooled vertices and the score.
        readout: "mean" of the information at all vertices but the input, or at the "output" alone.
        encoding: features of the whole graph beside them (a name of the catalog, an `Encoding`, or
            a tuple of them); None for none.
        loss, target, members, epochs, min_steps, batch_size, lr, weight_decay, device,
            random_state: as in `Neural`.
        dropout: share of channels left out, in [0, 1).

    References: Ning et al. 2020, A Generic Graph-Based Neural Architecture Encoding Scheme for
    Predictor-Based NAS (GATES), section 3 and equation 2.
    Differs: the paper has one member, a hinge loss, wider layers and no features of the graph:
    `GATES.paper(space)`. It gives the operation of the input an embedding of zeros; here that gate
    acts on a sum over no edges. Vertices start with information of the layers' own width. An
    architecture of several cells is one graph here. The space decides what is a vertex: on
    NAS-Bench-201 the paper's operations are on edges, ours on vertices.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(60, rng=0)
    >>> model = GATES(space, epochs=20, random_state=0).fit(X, (X == 3).sum(axis=1))
    >>> mean, std = model.predict([[0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]], return_std=True)
    >>> bool(mean[1] > mean[0] + 2), bool((std >= 0).all())
    (True, True)
    """

    least: ClassVar = {"embed": 1, "hidden": 1, "layers": 1}
    ranges: ClassVar = RANGES

    def __init__(
        self,
        space: Space,
        embed: int = 16,
        hidden: int = 32,
        layers: int = 3,
        head: tuple[int, ...] = (48,),
        readout: Readout = "mean",
        encoding: Encodings | None = COUNTED,
        loss: Loss = "rank",
        target: Target = "rank",
        members: int = 4,
        epochs: int = 80,
        min_steps: int = 150,
        batch_size: int = 32,
        lr: float = 1e-2,
        weight_decay: float = 1e-2,
        dropout: float = 0.0,
        device: str = "auto",
        random_state: int | None = None,
    ) -> None:
        self.space = space
        self.embed = embed
        self.hidden = hidden
        self.layers = layers
        self.head = head
        self.readout = readout
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
    def paper(cls, space: Space, random_state: int | None = None, **changes: Any) -> GATES:
        """The paper's settings on graphs with operations on vertices: one network, hinge loss.

        With the 200 epochs of the comparison by Ning et al. 2022: the paper's own 80 are for
        thousands of rows.
        """
        settings: dict[str, Any] = {
            "embed": 48,
            "hidden": 128,
            "layers": 4,
            "head": (200,),
            "encoding": None,
            "loss": "hinge",
            "members": 1,
            "epochs": 200,
            "min_steps": 1,
            "batch_size": 512,
            "lr": 1e-3,
            "weight_decay": 0.0,
            "dropout": 0.1,
        }
        return cls(space, random_state=random_state, **{**settings, **changes})

    def _net(self, view: Batch, generator: torch.Generator) -> Gates:
        return Gates(
            self.members,
            len(self.space.vocabulary),
            view.features.shape[1],
            embed=self.embed,
            hidden=self.hidden,
            layers=self.layers,
            head=self.head,
            dropout=self.dropout,
            generator=generator,
        )

    def _inputs(self, view: Batch) -> Flow:
        return flow(view, len(self.space.vocabulary), self.readout)

    def _floats(self, view: Batch) -> int:
        return view.ops.shape[1] * self.members * self.layers * self.hidden
