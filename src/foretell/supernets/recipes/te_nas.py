"""TE-NAS."""

from __future__ import annotations

from foretell.supernets.alpha import NoUpdate
from foretell.supernets.distribution import Constant
from foretell.supernets.method import Method, Weights
from foretell.supernets.training_free import TrainingFreePrune


def te_nas(batch: int = 16, repeats: int = 3, drop: int = 1) -> Method:
    """A supernet that is pruned without training, by its tangent kernel and its linear regions.

    References: Chen, Gong & Wang, TE-NAS, ICLR 2021.
    """
    return Method(
        distribution=Constant(),
        alpha=NoUpdate(),
        selection=TrainingFreePrune(batch, repeats, drop),
        weights=Weights(epochs=0),
    )
