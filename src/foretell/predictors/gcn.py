"""The Neural Predictor: a graph network on the graph view of a space."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from foretell.graphs.tensors import Batch
from foretell.predictors.parts.features import COUNTED, Encodings
from foretell.predictors.parts.graph_net import GraphNet, Inputs, inputs
from foretell.predictors.parts.losses import Loss
from foretell.predictors.parts.neural import RANGES, Neural
from foretell.predictors.parts.targets import Target
from foretell.spaces.base import Space


class GCN(Neural):
    """Bidirectional graph network; an ensemble trained to order architectures.

    Each member passes messages along the edges and against them (`parts.graph_net.GraphNet`), and
    is trained by AdamW with a cosine schedule to put the better of two architectures first,

        loss = mean over pairs y_i > y_j of log(1 + exp(s_j - s_i)).

    Scores of the members are averaged, mapped to units of y, and given a standard deviation whose
    size is measured on rows that a member has not seen, as `parts.neural.Neural` says.

    Args:
        space: the space whose rows it sees.
        hidden: width of the graph layers, at least 1.
        layers: number of graph layers, at least 1.
        head: width between the two linear maps at the end, at least 1.
        encoding: features of the whole graph beside the pooled vertices (a name of the catalog,
            an `Encoding`, or a tuple of them); None for none. With it the head has a bias and a
            relu.
        loss: "rank" (logistic), "soft" or "hinge" on pairs; "mse" or "mae" on the target; or
            "bce" on targets in [0, 1], whose predictions are then log-odds.
        target: of "mse" and "mae": "rank" or "value"; ranking losses look at the order alone.
        members: networks that differ by their initial weights (and dropout), at least 1.
        epochs: passes through the training rows, at least 1; as many more as `min_steps` needs.
        min_steps: fewest optimiser steps.
        batch_size: architectures in a step, at least 2.
        lr: highest learning rate.
        weight_decay: decoupled weight decay.
        dropout: share of channels left out, in [0, 1).
        device: where rows are scored, see `parts.neural.Neural`.
        random_state: non-negative seed, or None for fresh entropy.

    References: Wen et al. 2020, Neural Predictor for Neural Architecture Search, section 3;
    Burges et al. 2005 (pairwise logistic loss).
    Differs: the paper has one member, squared error, 144 channels and no features of the graph:
    `GCN.paper(space)`; there weight decay is Adam's, dropout is drawn for each vertex, here for
    each graph.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(60, rng=0)
    >>> model = GCN(space, epochs=20, random_state=0).fit(X, (X == 3).sum(axis=1))
    >>> mean, std = model.predict([[0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]], return_std=True)
    >>> bool(mean[1] > mean[0] + 2), bool((std >= 0).all())
    (True, True)
    """

    least: ClassVar = {"hidden": 1, "layers": 1, "head": 1}
    ranges: ClassVar = RANGES

    def __init__(
        self,
        space: Space,
        hidden: int = 32,
        layers: int = 3,
        head: int = 48,
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
        self.hidden = hidden
        self.layers = layers
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
    def paper(cls, space: Space, random_state: int | None = None, **changes: Any) -> GCN:
        """The settings of the paper: one network, squared error of standardised targets."""
        settings: dict[str, Any] = {
            "hidden": 144,
            "head": 128,
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

    def _net(self, view: Batch, generator: torch.Generator) -> GraphNet:
        return GraphNet(
            self.members,
            len(self.space.vocabulary),
            view.features.shape[1],
            hidden=self.hidden,
            layers=self.layers,
            head=self.head,
            relu=self.encoding is not None,
            dropout=self.dropout,
            generator=generator,
        )

    def _inputs(self, view: Batch) -> Inputs:
        return inputs(view, len(self.space.vocabulary))

    def _floats(self, view: Batch) -> int:
        v = view.ops.shape[1]
        return v * max(2 * self.hidden * self.members, len(self.space.vocabulary), v)
