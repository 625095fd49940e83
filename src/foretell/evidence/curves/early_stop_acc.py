"""The last validation accuracy."""

from __future__ import annotations

from foretell.evidence.curves.base import CurveMethod, Floats


class EarlyStopAcc(CurveMethod):
    """What the curve has come to: R = acc_t after t epochs.

    Args:
        metric: the curve that is read; None for "val_acc".

    References: Zoph et al., CVPR 2018; Elsken et al., ICLR 2019.

    >>> EarlyStopAcc().predict({"val_acc": [[0.1, 0.4], [0.3, 0.2]]}, epochs=1).tolist()
    [0.1, 0.3]
    """

    reads = ("val_acc",)

    def __init__(self, metric: str | None = None) -> None:
        self.metric = metric

    def _predict(self, seen: Floats, horizon: int) -> tuple[Floats, None]:
        return seen[:, -1], None
