"""P-DARTS."""

from __future__ import annotations

from foretell.supernets.alpha import First
from foretell.supernets.execution import Full
from foretell.supernets.method import Method, Weights
from foretell.supernets.schedule import Stage, Stages, WarmUp
from foretell.supernets.selection import Magnitude


def p_darts(
    depths: tuple[int | None, ...] = (None, None, None),
    drops: tuple[float, ...] = (0.0, 0.4, 0.7),
    keep: tuple[float, ...] = (1.0, 0.625, 0.375),
) -> Method:
    """Three searches, each with fewer operations and, by `depths`, more cells than the last.

    References: Chen et al., P-DARTS, ICCV 2019: depths (5, 11, 17).
    """
    parts = zip(keep, depths, drops, strict=True)
    stages = tuple(Stage(share, depth=depth, skip_drop=drop) for share, depth, drop in parts)
    return Method(
        execution=Full(skip_drop=max(drops)),
        alpha=First(lr=6e-4, clip=5.0),
        schedule=(Stages(stages, fresh=True), WarmUp(0.4)),
        selection=Magnitude(skips=2),
        weights=Weights(epochs=75, batch_size=96, lr_end=0.0),
    )
