"""Covariance of input gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from foretell.evidence.zero_cost.base import Proxy
from foretell.evidence.zero_cost.parts.look import INPUTS, Look
from foretell.evidence.zero_cost.parts.matrices import correlation

_K = 1e-5


@dataclass(frozen=True)
class JacobCov(Proxy):
    """How different the gradients by different inputs are.

    J_n is the gradient of all outputs' sum by input n, C the correlation matrix of J_1, ..., J_N,
    v_i its eigenvalues: s = -sum_i log(v_i + k) + 1 / (v_i + k), k = 1e-5.

    References: Mellor et al., Neural Architecture Search without Training, 2020 (first version),
    equation 3.
    """

    needs: ClassVar[frozenset[str]] = frozenset({INPUTS})

    def score(self, look: Look) -> float:
        """Of the batch's correlation matrix."""
        v = torch.linalg.eigvalsh(correlation(look.jacobian.double())).clamp_min(0)
        return -float(((v + _K).log() + 1 / (v + _K)).sum())
