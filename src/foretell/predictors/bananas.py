"""BANANAS: an ensemble of feed-forward networks on the path encoding."""

from __future__ import annotations

from typing import Any

from foretell.predictors.parts.features import FEATURES, Encodings
from foretell.predictors.parts.feedforward import FeedForward
from foretell.predictors.parts.losses import Loss
from foretell.predictors.parts.targets import Target
from foretell.spaces.base import Space


class Bananas(FeedForward):
    """The meta neural network: several feed-forward networks read which paths a network has.

        f_m(x) = w_m . relu(W_mL ... relu(W_m1 phi(x) + b_m1) ... + b_mL) + b_m

    with the standardised bits phi of the paths from input to output. Each member is trained by
    AdamW with a cosine schedule to put the better of two architectures first,

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

    References: White et al. 2021, BANANAS: Bayesian Optimization with Neural Architectures for
    Neural Architecture Search, sections 3 and 4.
    Differs: the paper has five networks of 10 layers of 20 units on paths alone, trained on the
    absolute error, also in percent of the distance from a bound: `Bananas.paper(space)`, with the
    plain absolute error of standardised targets and a cosine schedule.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(60, rng=0)
    >>> model = Bananas(space, epochs=20, random_state=0).fit(X, (X == 3).sum(axis=1))
    >>> mean, std = model.predict([[0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]], return_std=True)
    >>> bool(mean[1] > mean[0] + 1), bool((std >= 0).all())
    (True, True)
    """

    def __init__(
        self,
        space: Space,
        width: int = 64,
        layers: int = 2,
        encoding: Encodings = (*FEATURES, "path"),
        loss: Loss = "rank",
        target: Target = "rank",
        members: int = 5,
        epochs: int = 80,
        min_steps: int = 150,
        batch_size: int = 32,
        lr: float = 5e-3,
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
    def paper(cls, space: Space, random_state: int | None = None, **changes: Any) -> Bananas:
        """The settings of the paper, as far as they can be had: see `Differs`."""
        settings: dict[str, Any] = {
            "width": 20,
            "layers": 10,
            "encoding": "path",
            "loss": "mae",
            "target": "value",
            "epochs": 150,
            "min_steps": 1,
            "lr": 1e-2,
            "weight_decay": 0.0,
        }
        return cls(space, random_state=random_state, **{**settings, **changes})
