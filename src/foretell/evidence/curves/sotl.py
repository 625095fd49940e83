"""The sum of training losses."""

from __future__ import annotations

from foretell.evidence.curves.base import CurveMethod, Floats


class SoTL(CurveMethod):
    """How fast it has learnt: R = -sum_{k <= t} loss_k over the training losses of t epochs.

    Args:
        metric: the curve that is read; None for "train_loss".

    References: Ru et al., Speedy Performance Estimation for Neural Architecture Search,
    NeurIPS 2021 (TSE).

    >>> SoTL().predict({"train_loss": [[2.0, 1.0], [2.0, 1.5]]}).tolist()
    [-3.0, -3.5]
    """

    reads = ("train_loss",)

    def __init__(self, metric: str | None = None) -> None:
        self.metric = metric

    def _predict(self, seen: Floats, horizon: int) -> tuple[Floats, None]:
        return seen.sum(axis=1), None
