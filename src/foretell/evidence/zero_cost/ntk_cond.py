"""Condition of the neural tangent kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from foretell.errors import SpaceError
from foretell.evidence.zero_cost.base import Proxy
from foretell.evidence.zero_cost.parts.look import Look, gradient
from foretell.evidence.zero_cost.parts.matrices import per_example


@dataclass(frozen=True)
class NTKCond(Proxy):
    """k = largest / least eigenvalue of J J^T: the lower, the better.

    J_n is the gradient of the sum of the outputs for example n by the weights of convolutions and
    linear maps, of the first 16 examples.

    References: Chen et al., TE-NAS, ICLR 2021, equation 3. `Differs:` statistics of normalisation
    are held fixed, so that a gradient is of its own example, and all come from one backward pass.
    """

    higher_is_better: ClassVar[bool] = False

    def score(self, look: Look) -> float:
        """The condition number."""
        outputs, layers = look.apart
        if not layers:
            raise SpaceError("the network has no convolution or linear map that can be trained")
        backs = gradient(outputs.sum(), [one.output for one in layers])
        kernel = torch.zeros(len(outputs), len(outputs), dtype=torch.float64, device=outputs.device)
        for layer, back in zip(layers, backs, strict=True):
            J = per_example(layer, back).double()
            kernel += J @ J.T
        v = torch.linalg.eigvalsh(kernel)
        if not v[0] > 0:
            raise SpaceError("the kernel is singular: its condition is not finite")
        return float(v[-1] / v[0])
