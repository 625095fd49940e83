"""What each option of each site costs, fitted to the costs of random rows."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from foretell._rng import stream
from foretell.spaces.base import Space
from foretell.spaces.parts.mixture import Mixture

ROWS = 400  # of which costs are asked, at least as many as there are options


def cost_table(space: Space, mixture: Mixture, name: str, seed: int = 0) -> Tensor:
    """The table c (E, K) of least |cost(x) - c_0 - sum_e c_{e, x_e}|^2 over random rows.

    The cheapest option of each site costs 0 in it. Exact where costs add up.

    Args:
        space: that knows the cost: "params", "flops", or "latency_ms" of a limited space.
        mixture: of the space.
        name: of the cost.
        seed: of the rows.
    """
    E, K = mixture.shape
    X = space.sample(max(ROWS, 4 * E * K) if space.closed_form([name]) else 2 * E * K, stream(seed))
    A = mixture.weights(X).reshape(len(X), E * K)
    y = space.measure(X, [name])[:, 0]
    good = np.isfinite(y)
    table, *_ = np.linalg.lstsq(
        np.column_stack([np.ones(good.sum()), A[good]]), y[good], rcond=None
    )
    costs = table[1:].reshape(E, K)
    known = A.any(axis=0).reshape(E, K)
    lowest = np.where(known, costs, np.inf).min(axis=1, keepdims=True)
    return torch.from_numpy(np.where(known, costs - np.where(np.isfinite(lowest), lowest, 0), 0.0))
