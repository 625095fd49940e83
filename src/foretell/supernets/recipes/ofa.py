"""Once-for-all."""

from __future__ import annotations

from foretell.supernets.alpha import NoUpdate
from foretell.supernets.distribution import Uniform
from foretell.supernets.execution import Single
from foretell.supernets.method import Method, Weights
from foretell.supernets.selection import Evolve
from foretell.supernets.shrinking import Shrink


def ofa(n: int = 1000, strategy: str = "regularized-evolution", distil: float = 1.0) -> Method:
    """The largest network, then its parts: kernels, depths, widths; then a search among them.

    References: Cai et al., Once-for-All, ICLR 2020. `Differs:` inherited accuracies are asked
    themselves, where the paper asks a predictor of them.
    """
    weights = Weights(epochs=590, lr=0.03, lr_end=0.0, nesterov=True, weight_decay=3e-5, clip=0.0,
                      label_smoothing=0.1, share=1.0)  # fmt: skip
    return Method(
        distribution=Uniform(), execution=Single(), alpha=NoUpdate(), weights=weights,
        schedule=(Shrink(distil=distil),), selection=Evolve(n, strategy),
    )  # fmt: skip
