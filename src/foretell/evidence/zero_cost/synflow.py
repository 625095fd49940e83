"""SynFlow: how much flows from input to output."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from foretell.errors import DataError, SpaceError
from foretell.evidence.zero_cost.base import Proxy
from foretell.evidence.zero_cost.parts.look import Look, gradient
from foretell.evidence.zero_cost.parts.watch import Watch


@dataclass(frozen=True)
class SynFlow(Proxy):
    """Logarithm of the synaptic flow: s = log(1 + sum W dR/dW).

    R is the sum of the outputs for one input of ones, by the absolute values of all parameters, in
    double precision and without batch normalisation. It reads no data.

    References: Tanaka et al., Pruning neural networks without any data by iteratively conserving
    synaptic flow, NeurIPS 2020, equation 2; Abdelfattah et al., ICLR 2021. `Differs:` its
    logarithm, which orders alike.
    """

    def score(self, look: Look) -> float:
        """The logarithm of the sum over all weights."""
        values = {n: p.detach().abs().double() for n, p in look.net.named_parameters()}
        used = [v.requires_grad_() for v in values.values() if v.ndim >= 2]
        if not used:
            raise SpaceError("the network has no weights")
        if not look.inputs.is_floating_point():
            raise DataError("synflow", expected="inputs that are numbers", got=look.inputs.dtype)
        ones = torch.ones_like(look.inputs[:1], dtype=torch.float64)
        watch = Watch(normalise=_as_it_is)
        flow = look.run(ones, lambda name, _: values[name], watch, double=True).sum()
        pairs = zip(used, gradient(flow, used, retain_graph=False), strict=True)
        return math.log1p(float(sum((w.detach() * g).abs().sum() for w, g in pairs)))


def _as_it_is(x: Tensor, *_: object, **__: object) -> Tensor:
    return x
