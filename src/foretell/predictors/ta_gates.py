"""TA-GATES: GATES on operations that are trained, in a few make-believe steps."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from foretell.graphs.tensors import Batch
from foretell.predictors.gates import Flow, Gates, Readout, flow
from foretell.predictors.parts.features import COUNTED, Encodings
from foretell.predictors.parts.losses import Loss
from foretell.predictors.parts.members import MLP, Linear, along
from foretell.predictors.parts.neural import RANGES, Neural
from foretell.predictors.parts.targets import Target
from foretell.spaces.base import Space

_RATE = 0.1  # of the update of an operation's embedding


class TrainedGates(Gates):
    """`Gates` whose operations change in T - 1 steps before the last pass is read.

    A step passes information H forward as `Gates` does; b starts as an MLP of H at the last
    vertex and goes back along the edges,

        b_{l+1} = relu((A b_l + b_l) W_l);

    and the embedding of each vertex becomes E + 0.1 MLP([E, H, b]).
    """

    def __init__(self, *args: Any, steps: int, update: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        members, _, embed = self.embedding.shape
        hidden, generator = kwargs["hidden"], kwargs["generator"]
        self.steps = steps
        self.turn = MLP(members, [hidden, hidden, hidden], generator)
        self.backs = nn.ModuleList(Linear(members, hidden, hidden, generator) for _ in self.values)
        self.update = MLP(members, [embed + 2 * hidden, update, embed], generator)

    def information(self, view: Flow, E: Tensor, generator: torch.Generator | None) -> Tensor:
        """Information (M, n, v, hidden) of the last pass."""
        there = view.hot.sum(-1)[None, :, :, None]
        for _ in range(self.steps - 1):
            H = super().information(view, E, generator)
            b = self.turn(H) * view.last[None, :, :, None]
            for one in self.backs:
                b = torch.relu(one(along(view.into.transpose(1, 2), b) + b)) * there
            seen = torch.cat([E.detach(), H.detach(), b], dim=-1)
            E = E + _RATE * self.update(seen)
        return super().information(view, E, generator)


class TAGATES(Neural):
    """TA-GATES: operations learn for a few steps before the architecture is judged.

    In a real training what an operation becomes depends on where it stands. So GATES passes
    information forward, a signal goes back from the output, and both change the embedding of each
    vertex's operation, T - 1 times; the last forward pass is read (`TrainedGates`).

    Args:
        space: the space whose rows it sees.
        embed: width of an operation's embedding, at least 1.
        hidden: width of information and signal, at least 1.
        layers: number of layers of each pass, at least 1.
        steps: T, forward passes, at least 1; with 1 it is GATES.
        update: width of the hidden layer of the update, at least 1.
        head: widths of the hidden layers between the pooled vertices and the score.
        readout: "mean" of the information at all vertices but the input, or at the "output" alone.
        encoding: features of the whole graph beside them (a name of the catalog, an `Encoding`, or
            a tuple of them); None for none.
        loss, target, members, epochs, min_steps, batch_size, lr, weight_decay, device,
            random_state: as in `Neural`.
        dropout: share of channels left out, in [0, 1).

    References: Ning et al. 2022, TA-GATES: An Encoding Scheme for Neural Network Architectures,
    section 4.
    Differs: the paper has one member, a hinge loss, wider layers and no features of the graph:
    `TAGATES.paper(space)`. Operations that stand alike stay alike here; the paper tells them
    apart by statistics of an untrained network.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(60, rng=0)
    >>> model = TAGATES(space, epochs=20, random_state=0).fit(X, (X == 3).sum(axis=1))
    >>> mean, std = model.predict([[0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]], return_std=True)
    >>> bool(mean[1] > mean[0] + 2), bool((std >= 0).all())
    (True, True)
    """

    least: ClassVar = {"embed": 1, "hidden": 1, "layers": 1, "steps": 1, "update": 1}
    ranges: ClassVar = RANGES

    def __init__(
        self,
        space: Space,
        embed: int = 16,
        hidden: int = 32,
        layers: int = 3,
        steps: int = 3,
        update: int = 32,
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
        self.steps = steps
        self.update = update
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
    def paper(cls, space: Space, random_state: int | None = None, **changes: Any) -> TAGATES:
        """The paper's settings on NAS-Bench-101: one network, hinge loss, T = 3."""
        settings: dict[str, Any] = {
            "embed": 48,
            "hidden": 128,
            "layers": 5,
            "steps": 3,
            "update": 128,
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

    def _net(self, view: Batch, generator: torch.Generator) -> TrainedGates:
        return TrainedGates(
            self.members,
            len(self.space.vocabulary),
            view.features.shape[1],
            embed=self.embed,
            hidden=self.hidden,
            layers=self.layers,
            head=self.head,
            steps=self.steps,
            update=self.update,
            dropout=self.dropout,
            generator=generator,
        )

    def _inputs(self, view: Batch) -> Flow:
        return flow(view, len(self.space.vocabulary), self.readout)

    def _floats(self, view: Batch) -> int:
        return view.ops.shape[1] * self.members * self.layers * self.hidden
