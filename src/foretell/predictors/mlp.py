"""Feed-forward networks."""

from __future__ import annotations

from typing import Any

from foretell.predictors.parts.features import FEATURES, Encodings
from foretell.predictors.parts.feedforward import FeedForward
from foretell.predictors.parts.losses import Loss
from foretell.predictors.parts.targets import Target
from foretell.spaces.base import Space


class MLP(FeedForward):
    """Several feed-forward networks on what a network is made of.

        f_m(x) = w_m . relu(W_mL ... relu(W_m1 phi(x) + b_m1) ... + b_mL) + b_m

    with standardised features phi. Each member is trained by AdamW with a cosine schedule to put
    the better of two architectures first,

        loss = mean over pairs y_i > y_j of log(1 + exp(f(x_j) - f(x_i))).

    Mean and standard deviation are those of the members, whose scores are standardised and mapped
    to the units of y as `gcn` does.

    Args:
        space: the space whose rows it sees.
        width: units of each hidden layer, at least 1.
        layers: number of hidden layers, at least 1.
        encoding: what it reads: a name of the catalog, an `Encoding`, or a tuple of them.
        loss: a ranking loss, "rank", "soft" or "hinge"; "mse" or "mae" on the target; or "bce" on
            targets in [0, 1].
        target: of "mse" and "mae": "rank" or "value"; ranking losses look at the order alone.
        members: networks that differ by their initial weights, at least 1.
        epochs: passes through the training rows, at least 1; as many more as `min_steps` needs.
        min_steps: fewest optimiser steps.
        batch_size: architectures in a step, at least 2.
        lr: highest learning rate.
        weight_decay: decoupled weight decay.
        dropout: share of units left out, in [0, 1).
        device: where rows are scored, see `parts.neural.Neural`.
        random_state: non-negative seed, or None for fresh entropy.

    References: White et al. 2021, How Powerful are Performance Predictors in NAS?
    Differs: the study (NASLib) has one network of 20 layers of 20 units on adjacency one-hot
    values, trained on the absolute error: `MLP.paper(space)`, with standardised targets and a
    cosine schedule, without the L1 penalty of the last weights.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(60, rng=0)
    >>> model = MLP(space, epochs=20, random_state=0).fit(X, (X == 3).sum(axis=1))
    >>> mean, std = model.predict([[0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]], return_std=True)
    >>> bool(mean[1] > mean[0] + 1), bool((std >= 0).all())
    (True, True)
    """

    def __init__(
        self,
        space: Space,
        width: int = 64,
        layers: int = 2,
        encoding: Encodings = FEATURES,
        loss: Loss = "rank",
        target: Target = "rank",
        members: int = 5,
        epochs: int = 80,
        min_steps: int = 150,
        batch_size: int = 32,
        lr: float = 1e-2,
        weight_decay: float = 0.1,
        dropout: float = 0.0,
        device: str = "auto",
        random_state: int | None = None,
    ) -> None:
        self.space = space
        self.width = width
        self.layers = layers
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
    def paper(cls, space: Space, random_state: int | None = None, **changes: Any) -> MLP:
        """The settings of the study (NASLib), as far as they can be had: see `Differs`."""
        settings: dict[str, Any] = {
            "width": 20,
            "layers": 20,
            "encoding": "adjacency-one-hot",
            "loss": "mae",
            "target": "value",
            "members": 1,
            "epochs": 500,
            "min_steps": 1,
            "lr": 1e-3,
            "weight_decay": 0.0,
        }
        return cls(space, random_state=random_state, **{**settings, **changes})
