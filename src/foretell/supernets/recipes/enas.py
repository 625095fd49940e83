"""ENAS."""

from __future__ import annotations

from foretell.supernets.alpha import Reinforce
from foretell.supernets.controller import Controller
from foretell.supernets.execution import Single
from foretell.supernets.method import Method, Weights
from foretell.supernets.selection import DrawAndScore


def enas(steps: int = 30, samples: int = 10, n: int = 10) -> Method:
    """An LSTM that writes rows, rewarded by their accuracy with shared weights.

    References: Pham et al., ENAS, ICML 2018; Dong & Yang, ICLR 2020 (settings on NAS-Bench-201).
    """
    return Method(
        distribution=Controller(),
        execution=Single(),
        alpha=Reinforce(steps=steps, samples=samples),
        selection=DrawAndScore(n),
        weights=Weights(epochs=150, lr=0.05, lr_end=5e-4, nesterov=True, weight_decay=2.5e-4),
    )
