"""Zen-NAS: how much the features of a network with random weights tell inputs apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from foretell.errors import SpaceError
from foretell.evidence.zero_cost.base import Proxy
from foretell.evidence.zero_cost.parts.look import Look
from foretell.evidence.zero_cost.parts.watch import Layer, Watch


@dataclass(frozen=True)
class Zen(Proxy):
    """Gaussian complexity of the features, with what batch normalisation hides put back.

    Weights are drawn from N(0, 1), biases 0, normalisations 1 and 0; x and e from N(0, 1), in the
    shape of the inputs. With f what the global pooling gets, or the last linear map:
    s = log mean_n sum |f(x) - f(x + 0.01 e)| + sum over batch normalisations of
    log sqrt(mean variance), those of the second pass. It reads no data.

    Args:
        batch: inputs of a repetition.
        repeats: with other weights and inputs, of which the score is the mean.

    References: Lin et al., Zen-NAS, ICCV 2021, algorithm 1. `Differs:` variances of the batch
    itself, where the public code takes running ones, which remember their start.
    """

    batch: int = 16
    repeats: int = 1

    def score(self, look: Look) -> float:
        """The mean of the repetitions."""
        return sum(self._once(look, str(k)) for k in range(self.repeats)) / self.repeats

    def _once(self, look: Look, key: str) -> float:
        draws = look.generator("zen", key)
        shape, device = (self.batch, *look.inputs.shape[1:]), look.inputs.device
        x, e = (torch.randn(shape, generator=draws).to(device) for _ in range(2))
        drawn = {
            n: torch.randn(p.shape, generator=draws).to(p) if p.ndim >= 2 else _start(n, p)
            for n, p in look.net.named_parameters()
        }
        features, scale = [], 0.0
        with torch.no_grad():
            for inputs in (x, x + 0.01 * e):
                kept = _Kept()
                watch = Watch(kept.on_layer, None, kept.on_pooling, kept.normalise)
                look.run(inputs, lambda name, _: drawn[name], watch)
                features.append(kept.features())
                scale = sum(math.log(v) / 2 for v in kept.variances if v > 0)
        apart = (features[0] - features[1]).abs().flatten(1).sum(dim=1).mean()
        if not apart > 0:
            raise SpaceError("the features do not depend on the input")
        return float(apart.log()) + scale


class _Kept:
    """What a pass tells."""

    def __init__(self) -> None:
        self.pooled: Tensor | None = None
        self.last: Tensor | None = None
        self.variances: list[float] = []

    def on_layer(self, layer: Layer) -> None:
        if layer.dims == 0:
            self.last = layer.input

    def on_pooling(self, x: Tensor) -> None:
        self.pooled = x

    def normalise(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        self.variances.append(float(x.var([0, *range(2, x.ndim)], unbiased=False).mean()))
        return functional.batch_norm(x, *args, **kwargs)

    def features(self) -> Tensor:
        found = self.last if self.pooled is None else self.pooled
        if found is None:
            raise SpaceError("the network has neither a global pooling nor a linear map")
        return found


def _start(name: str, p: Tensor) -> Tensor:
    return torch.ones_like(p) if name.endswith("weight") else torch.zeros_like(p)
