"""What is known: the columnar record of all results."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foretell.errors import DataError
from foretell.spaces.base import Rows, Space

OK, FAILED, PENDING = 0, 1, 2


@dataclass(frozen=True)
class History:
    """All that a strategy or a predictor may know, oldest first; higher `y` is better.

    Shapes: `X` (n, d); `y`, `seconds` (n,) with y NaN where nothing is known; `status` (n,) of
    OK, FAILED or PENDING (asked for, not yet answered).
    """

    X: Rows
    y: NDArray[np.float64]
    status: NDArray[np.int8]
    seconds: NDArray[np.float64]

    @classmethod
    def empty(cls, space: Space) -> Self:
        """Nothing known yet."""
        return cls(
            np.zeros((0, space.d), dtype=space._dtype),
            np.zeros(0),
            np.zeros(0, dtype=np.int8),
            np.zeros(0),
        )

    @classmethod
    def of(cls, space: Space, X: ArrayLike, y: ArrayLike) -> Self:
        """A history of finished results; a NaN in `y` is a failed trial."""
        return cls.empty(space).append(space.check(X), y)

    def append(self, X: Rows, y: ArrayLike, seconds: ArrayLike = 0.0) -> Self:
        """This history and some finished results behind it; NaN means failed."""
        values = np.asarray(y, dtype=np.float64)
        if values.shape != (len(X),):
            raise DataError("results", expected=f"{len(X)} values", got=f"shape {values.shape}")
        bad = ~np.isfinite(values)
        return self._join(
            X, np.where(bad, np.nan, values), np.where(bad, FAILED, OK), np.asarray(seconds)
        )

    def with_pending(self, X: Rows) -> Self:
        """This history and rows that are being evaluated right now."""
        return self._join(X, np.full(len(X), np.nan), np.full(len(X), PENDING), np.zeros(len(X)))

    def _join(self, X: Rows, y: ArrayLike, status: ArrayLike, seconds: NDArray[np.float64]) -> Self:
        return type(self)(
            np.concatenate([self.X, X.astype(self.X.dtype, copy=False)]),
            np.concatenate([self.y, np.asarray(y, dtype=np.float64)]),
            np.concatenate([self.status, np.asarray(status, dtype=np.int8)]),
            np.concatenate([self.seconds, np.broadcast_to(seconds, len(X)).astype(np.float64)]),
        )

    def __len__(self) -> int:
        return len(self.y)

    @property
    def ok(self) -> Self:
        """The finished results alone."""
        return self._where(self.status == OK)

    @property
    def told(self) -> Self:
        """The results that have come, failed ones too; nothing pending."""
        return self._where(self.status != PENDING)

    def _where(self, keep: NDArray[np.bool_] | NDArray[np.int64] | slice) -> Self:
        return type(self)(self.X[keep], self.y[keep], self.status[keep], self.seconds[keep])

    def best(self) -> int:
        """Index of the highest value; the oldest one on ties."""
        if not (self.status == OK).any():
            raise DataError("no result yet", expected="at least one finished trial", got=0)
        return int(np.nanargmax(self.y))


def joined(histories: Iterable[History]) -> History:
    """Several histories behind each other."""
    first, *rest = histories
    for one in rest:
        first = first._join(one.X, one.y, one.status, one.seconds)
    return first
