"""The sum of the last training losses."""

from __future__ import annotations

from foretell.errors import SettingError
from foretell.evidence.curves.base import CurveMethod, Floats


class SoTLE(CurveMethod):
    """How low the training loss is now: R = -sum_{t-E < k <= t} loss_k.

    The loss of an epoch is the mean over its batches while the network learns; that of the first
    epochs says more of the start than of the network, so only the last E count.

    Args:
        last: E, epochs that count, at least 1; all of them where there are fewer.
        metric: the curve that is read; None for "train_loss".

    References: Ru et al., NeurIPS 2021 (TSE-E, E = 1).

    >>> SoTLE(last=2).predict({"train_loss": [[2.0, 1.0, 0.5]]}).tolist()
    [-1.5]
    """

    reads = ("train_loss",)

    def __init__(self, last: int = 1, metric: str | None = None) -> None:
        self.last = last
        self.metric = metric

    def _predict(self, seen: Floats, horizon: int) -> tuple[Floats, None]:
        if self.last < 1:
            raise SettingError("SoTLE, last", expected="a whole number from 1", got=self.last)
        return seen[:, -self.last :].sum(axis=1), None
