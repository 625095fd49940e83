"""The rows that choose: which they are, and how good a mixture is on them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import torch
from torch import Tensor

from foretell.errors import DataError
from foretell.nets.supernet.mixed import Supernet
from foretell.training import scores
from foretell.training.data import Data
from foretell.training.data.batches import Split


@dataclasses.dataclass(frozen=True)
class Jury:
    """Accuracy and loss of what a supernet's board shows, with statistics of the batch.

    Args:
        rows: that choose.
        data: they are of.
        batch_size: in training; here batches are larger.
    """

    rows: Split
    data: Data
    batch_size: int

    @torch.no_grad()
    def accuracy(self, net: Supernet, z: Tensor, batches: int | None = None) -> float:
        """Of a mixture; for numbers minus the loss."""
        return self._mean(net, z, batches, self._right)

    @torch.no_grad()
    def loss(self, net: Supernet, z: Tensor, batches: int | None = None) -> float:
        """Of a mixture."""
        return self._mean(net, z, batches, self._lost)

    def _mean(
        self,
        net: Supernet,
        z: Tensor,
        batches: int | None,
        total: Callable[[Tensor, Tensor], float],
    ) -> float:
        found, n = 0.0, 0
        net.eval()
        net.board.show(z)
        for at in self._chunks()[:batches]:
            x, y = self.rows.batch(at)
            found += total(net(x), y)
            n += len(at)
        return found / max(n, 1)

    def _right(self, out: Tensor, y: Tensor) -> float:
        if self.data.task != "classification":
            return -self._lost(out, y)
        return float((out.argmax(1) == y).double().sum())

    def _lost(self, out: Tensor, y: Tensor) -> float:
        return float(scores.loss(out, y, self.data)) * len(y)

    def _chunks(self) -> tuple[Tensor, ...]:
        n, size = len(self.rows), max(256, self.batch_size)
        return torch.arange(n).tensor_split(max(1, min(math.ceil(n / size), n // 2)))


def halves(data: Data, share: float) -> tuple[Data, Data]:
    """The data whose training split the weights have, and whose validation split chooses."""
    if share >= 1:
        return data, data
    n = data.sizes[0]
    first = max(2, round(share * n))
    if n - first < 2:
        raise DataError(
            "too few training rows for two halves", expected="4 or more", got=n,
            hint="take share=1.0, which chooses by the validation split",
        )  # fmt: skip
    cut = dataclasses.replace(data, sizes=(first, n - first, len(data.index) - n))
    return cut, cut
