"""DNGO: a network learns the features, Bayesian linear regression the rest."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from foretell.errors import SettingError
from foretell.predictors.base import Floats
from foretell.predictors.parts.bayes import posteriors, variances
from foretell.predictors.parts.features import FEATURES, Encodings
from foretell.predictors.parts.feedforward import Features, FeedForward
from foretell.predictors.parts.losses import Loss
from foretell.predictors.parts.members import Linear
from foretell.predictors.parts.targets import Target
from foretell.spaces.base import Space


class DNGO(FeedForward):
    """Deep networks for global optimisation: regression on the last hidden layer of a network.

        h(x) = tanh(W_L ... tanh(W_1 phi(x) + b_1) ... + b_L),    f(x) = w . h(x) + c,

    The network is trained with its own last layer, by default to put the better of two
    architectures first (`gcn` has the loss); then that is taken off, and w has a normal
    prior and an exact posterior. The variances of prior and noise maximise the evidence in closed
    form. Several networks, differing by their initial weights, are averaged as a mixture: the
    variance is what each knows of itself, plus how much they disagree.

    Args:
        space: the space whose rows it sees.
        width: units of each hidden layer, at least 1.
        layers: number of hidden layers, at least 1.
        encoding: what it reads: a name of the catalog, an `Encoding`, or a tuple of them.
        loss: of the network: "mse" or "mae" on the target, or "rank", "soft" or "hinge" on pairs.
        target: what is learnt: "rank" or "value".
        members: networks, at least 1.
        epochs: passes through the training rows, at least 1; as many more as `min_steps` needs.
        min_steps: fewest optimiser steps.
        batch_size: architectures in a step, at least 2.
        lr: highest learning rate.
        weight_decay: decoupled weight decay.
        device: where rows are scored, see `parts.neural.Neural`.
        random_state: non-negative seed, or None for fresh entropy.

    References: Snoek et al. 2015, Scalable Bayesian Optimization Using Deep Neural Networks,
    section 3; White et al. 2021, How Powerful are Performance Predictors in NAS?
    Differs: the study has one network of 3 layers of 50 units on adjacency one-hot values, and
    averages 20 samples of the variances: `DNGO.paper(space)`, with the best variances alone.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(60, rng=0)
    >>> model = DNGO(space, epochs=30, random_state=0).fit(X, (X == 3).sum(axis=1))
    >>> mean, std = model.predict([[0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]], return_std=True)
    >>> bool(mean[1] > mean[0] + 1), bool((std > 0).all())
    (True, True)
    """

    has_std = True  # a posterior of its own, of a single member too

    def __init__(
        self,
        space: Space,
        width: int = 50,
        layers: int = 2,
        encoding: Encodings = FEATURES,
        loss: Loss = "rank",
        target: Target = "rank",
        members: int = 5,
        epochs: int = 80,
        min_steps: int = 150,
        batch_size: int = 32,
        lr: float = 5e-3,
        weight_decay: float = 0.5,
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
        self.device = device
        self.random_state = random_state

    @classmethod
    def paper(cls, space: Space, random_state: int | None = None, **changes: Any) -> DNGO:
        """The settings of the study (NASLib), but for the sampled variances."""
        settings: dict[str, Any] = {
            "layers": 3,
            "encoding": "adjacency-one-hot",
            "loss": "mse",
            "target": "value",
            "members": 1,
            "epochs": 500,
            "min_steps": 1,
            "batch_size": 10,
            "lr": 1e-2,
            "weight_decay": 0.0,
        }
        return cls(space, random_state=random_state, **{**settings, **changes})

    def _check_settings(self) -> None:
        if self.loss == "bce":
            raise SettingError("loss", expected="mse, mae, rank, soft or hinge", got="'bce'")
        super()._check_settings()

    def _net(self, view: Features, generator: torch.Generator) -> Tanh:
        widths = [view.features.shape[1], *[self.width] * self.layers]
        return Tanh(self.members, widths, generator)

    def _train(self, view: Features, target: Floats, generator: torch.Generator) -> Tanh:
        net = super()._train(view, target, generator)
        assert isinstance(net, Tanh)  # of `_net`
        self.posterior_ = posteriors(_hidden(net, view), target, self.members)
        weights = np.stack([one.weights for one in self.posterior_])[:, :, None]
        constants = np.array([one.constant for one in self.posterior_])[:, None, None]
        last = {"weight": weights.astype(np.float32), "bias": constants.astype(np.float32)}
        net.out.load_state_dict({name: torch.tensor(one) for name, one in last.items()})
        return net

    def _variance(self, view: Features) -> Floats:
        assert isinstance(self.net_, Tanh)
        own = variances(self.posterior_, _hidden(self.net_, view))
        return np.asarray((own / self.unit_[:, None] ** 2).mean(axis=0))


class Tanh(nn.Module):
    """M networks side by side: tanh layers, then a linear map to scores (M, n)."""

    def __init__(self, members: int, widths: list[int], generator: torch.Generator) -> None:
        super().__init__()
        self.maps = nn.ModuleList(
            Linear(members, rows, columns, generator) for rows, columns in pairwise(widths)
        )
        self.out = Linear(members, widths[-1], 1, generator)

    def hidden(self, view: Features) -> Tensor:
        """The last hidden layer, (M, n, width)."""
        H = view.features[None]
        for one in self.maps:
            H = torch.tanh(one(H))
        return H

    def forward(self, view: Features, generator: torch.Generator | None = None) -> Tensor:
        """Scores (M, n)."""
        scores: Tensor = self.out(self.hidden(view))[..., 0]
        return scores


def _hidden(net: Tanh, view: Features) -> Floats:
    with torch.inference_mode():
        return net.hidden(view).numpy().astype(np.float64)
