"""BONAS: a graph network with a global vertex, and Bayesian linear regression on it."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from foretell.graphs.tensors import Batch
from foretell.predictors.base import Floats
from foretell.predictors.parts.bayes import posteriors, variances
from foretell.predictors.parts.features import COUNTED, Encodings
from foretell.predictors.parts.global_net import Global, GlobalNet, with_global
from foretell.predictors.parts.losses import Loss
from foretell.predictors.parts.neural import RANGES, Neural
from foretell.predictors.parts.targets import Target
from foretell.spaces.base import Space


class BONAS(Neural):
    """BONAS: a graph network ranks, a Bayesian linear regression on it says how sure that is.

    A graph network with a global vertex (`parts.global_net.GlobalNet`, batch normalisation) is
    trained; then, for each member, a Bayesian linear regression learns the same targets from what
    the last linear map reads,

        w ~ N(0, s^2),  t ~ N(w . phi(x), s^2 r),  phi standardised, with a constant,

    where s^2 (in closed form) and r (on a grid) maximise the evidence. Its posterior variance,
    averaged over members, is a part of the variance of a prediction, beside what `Neural` says.

    Args:
        space: the space whose rows it sees.
        hidden: width of the graph layers, at least 1.
        layers: number of graph layers, at least 1.
        head: widths of hidden layers between the global vertex and the regression.
        encoding: features of the whole graph beside the embedding (a name of the catalog, an
            `Encoding`, or a tuple of them); None for none.
        loss, target, members, epochs, min_steps, batch_size, lr, weight_decay, device,
            random_state: as in `Neural`.
        dropout: share of channels left out, in [0, 1).

    References: Shi et al. 2020, Bridging the Gap between Sample-based and One-shot Neural
    Architecture Search with BONAS, section 3.1; White et al. 2021 (`bonas`).
    Differs: the paper has one member, squared error (weighted towards good architectures), a
    sigmoid at the end and no features of the graph: `BONAS.paper(space)`. There the regression
    gives the mean too; here the network does, whose order is better by 0.01 of Kendall's tau (the
    regression sees its rows a second time).

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(60, rng=0)
    >>> model = BONAS(space, epochs=20, random_state=0).fit(X, (X == 3).sum(axis=1))
    >>> mean, std = model.predict([[0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]], return_std=True)
    >>> bool(mean[1] > mean[0] + 2), bool((std >= 0).all())
    (True, True)
    """

    least: ClassVar = {"hidden": 1, "layers": 1}
    ranges: ClassVar = RANGES

    def __init__(
        self,
        space: Space,
        hidden: int = 32,
        layers: int = 3,
        head: tuple[int, ...] = (48,),
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
    def paper(cls, space: Space, random_state: int | None = None, **changes: Any) -> BONAS:
        """The settings of White et al.: one network, squared error of standardised targets."""
        settings: dict[str, Any] = {
            "hidden": 64,
            "layers": 4,
            "head": (),
            "encoding": None,
            "loss": "mse",
            "target": "value",
            "members": 1,
            "epochs": 100,
            "min_steps": 1,
            "batch_size": 128,
            "lr": 1e-4,
            "weight_decay": 0.0,
        }
        return cls(space, random_state=random_state, **{**settings, **changes})

    def _net(self, view: Batch, generator: torch.Generator) -> GlobalNet:
        return GlobalNet(
            self.members,
            len(self.space.vocabulary),
            view.features.shape[1],
            hidden=self.hidden,
            layers=self.layers,
            head=self.head,
            norm="batch",
            dropout=self.dropout,
            generator=generator,
        )

    def _inputs(self, view: Batch) -> Global:
        return with_global(view, len(self.space.vocabulary))

    def _floats(self, view: Batch) -> int:
        return 2 * (view.ops.shape[1] + 1) * self.members * self.hidden

    def _train(self, view: Batch, target: Floats, generator: torch.Generator) -> GlobalNet:
        net = super()._train(view, target, generator)
        assert isinstance(net, GlobalNet)  # of `_net`
        self.posterior_ = posteriors(self._phi(net, view), target, self.members)
        return net

    def _variance(self, view: Batch) -> Floats:
        return np.asarray(variances(self.posterior_, self._phi(self.net_, view)).mean(axis=0))

    def _phi(self, net: nn.Module, view: Batch) -> Floats:
        """What the regression sees, (M, n, width)."""
        assert isinstance(net, GlobalNet)
        with torch.inference_mode():
            return net.embed(self._inputs(view)).numpy().astype(np.float64)
