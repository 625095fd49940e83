"""Predictors whose networks read features alone."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import torch
from scipy.stats import loguniform
from torch import Tensor, nn

from foretell.errors import SettingError
from foretell.predictors.parts import members
from foretell.predictors.parts.neural import Neural
from foretell.spaces.base import Rows


class FeedForward(Neural):
    """Base of predictors that read the standardised features of `encoding`, and no graph.

        f_m(x) = w_m . relu(W_mL ... relu(W_m1 phi(x) + b_m1) ... + b_mL) + b_m

    A subclass lists its parameters in `__init__`: `width`, `layers` and those of `Neural`.

    Args:
        width: units of each hidden layer, at least 1.
        layers: number of hidden layers, at least 1.
        encoding: what it reads: a name of the catalog, an `Encoding`, or a tuple of them.
    """

    width: int
    layers: int
    least: ClassVar[dict[str, int]] = {"width": 1, "layers": 1}
    ranges: ClassVar = {
        "width": [20, 50, 100],
        "layers": [1, 2, 3],
        "lr": loguniform(1e-3, 2e-2),
        "weight_decay": loguniform(1e-2, 1.0),
        "epochs": [40, 80, 160],
    }

    def _check_settings(self) -> None:
        if self.encoding is None:
            raise SettingError("encoding", expected="a name, an Encoding, or several", got="None")
        super()._check_settings()

    def _view(self, X: Rows) -> Features:
        return Features(torch.tensor(self._features(X)))

    def _floats(self, view: Features) -> int:
        return self.members * max(self.width, view.features.shape[1])

    def _net(self, view: Features, generator: torch.Generator) -> nn.Module:
        widths = [view.features.shape[1], *[self.width] * self.layers, 1]
        return _Scores(members.MLP(self.members, widths, generator, self.dropout))


class Features(NamedTuple):
    """What the networks read, (n, f)."""

    features: Tensor

    def take(self, rows: Any) -> Features:
        """Some of the rows."""
        return Features(self.features[rows])


class _Scores(nn.Module):
    """Scores (M, n) of features (n, f)."""

    def __init__(self, maps: nn.Module) -> None:
        super().__init__()
        self.maps = maps

    def forward(self, view: Features, generator: torch.Generator | None = None) -> Tensor:
        scores: Tensor = self.maps(view.features[None], generator)[..., 0]
        return scores
