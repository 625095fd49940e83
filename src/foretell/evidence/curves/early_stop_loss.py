"""The last validation loss."""

from __future__ import annotations

from foretell.evidence.curves.base import CurveMethod, Floats


class EarlyStopLoss(CurveMethod):
    """What the curve has come to: R = -loss_t after t epochs.

    Args:
        metric: the curve that is read; None for "val_loss".

    References: Zoph et al., CVPR 2018; White et al., NeurIPS 2021.

    >>> EarlyStopLoss().predict({"val_loss": [[2.0, 1.0], [2.0, 1.5]]}).tolist()
    [-1.0, -1.5]
    """

    reads = ("val_loss",)

    def __init__(self, metric: str | None = None) -> None:
        self.metric = metric

    def _predict(self, seen: Floats, horizon: int) -> tuple[Floats, None]:
        return seen[:, -1], None
