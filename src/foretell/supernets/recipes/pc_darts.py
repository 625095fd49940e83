"""PC-DARTS."""

from __future__ import annotations

from foretell.supernets.alpha import First
from foretell.supernets.execution import Full
from foretell.supernets.method import Method, Weights
from foretell.supernets.schedule import WarmUp


def pc_darts(divisor: int = 4, batch_size: int = 256) -> Method:
    """DARTS on a part of the channels, with edges that are weighed too.

    References: Xu et al., PC-DARTS, ICLR 2020.
    """
    return Method(
        execution=Full(divisor=divisor, edge_norm=True),
        alpha=First(lr=6e-4),
        schedule=(WarmUp(0.3),),
        weights=Weights(batch_size=batch_size, lr=0.1, lr_end=0.0),
    )
