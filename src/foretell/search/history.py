"""What is known: the columnar record of all results, a record a told result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foretell._given import reals
from foretell.errors import DataError
from foretell.spaces.base import Rows, Space

OK, FAILED, PENDING = 0, 1, 2

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Curves = Mapping[str, ArrayLike]


@dataclass(frozen=True)
class History:
    """All that a strategy or a predictor may know, oldest first; higher `y` is better.

    A record is a told result. A row that was trained on has a later record with the same id and
    more epochs. Columns of n records:

    Args:
        X: rows, (n, d).
        y: values, (n,), NaN where nothing is known.
        status: OK, FAILED or PENDING (asked for, not yet answered), (n,).
        seconds: what the row has cost so far, (n,).
        epochs: trained for; of a pending record asked for; 0 where there is nothing to train.
        ended_s: when it was told, in seconds since the search began; NaN where nobody said.
        ids: of the row, numbered as they came, (n,).
        asks: number of the ask that brought the row; -1 for one told from elsewhere, (n,).
        curves: per-epoch values by the name of the metric, (n, e), NaN where there are none.
        max_epochs: of a whole training; 0 where there is nothing to train.
    """

    X: Rows
    y: Floats
    status: NDArray[np.int8]
    seconds: Floats
    epochs: Integers
    ended_s: Floats
    ids: Integers
    asks: Integers
    curves: Mapping[str, Floats] = field(default_factory=dict)
    max_epochs: int = 0

    @classmethod
    def empty(cls, space: Space, max_epochs: int = 0) -> Self:
        """Nothing known yet."""
        none, whole = np.zeros(0), np.zeros(0, dtype=np.int64)
        X = np.zeros((0, space.d), dtype=space._dtype)
        state = np.zeros(0, dtype=np.int8)
        return cls(X, none, state, none, whole, none, whole, whole, {}, max_epochs)

    @classmethod
    def of(
        cls, space: Space, X: ArrayLike, y: ArrayLike, *, max_epochs: int = 0, **columns: Any
    ) -> Self:
        """A history of finished results; a NaN in `y` is a failed trial.

        Args:
            space: of the rows.
            X: rows, (n, d).
            y: values, (n,).
            max_epochs: of a whole training.
            columns: others by name: `epochs` (the whole training unless said), `seconds`, ...
        """
        return cls.empty(space, max_epochs).append(space.check(X), y, **columns)

    def append(
        self,
        X: Rows,
        y: ArrayLike,
        seconds: ArrayLike = 0.0,
        *,
        epochs: ArrayLike | None = None,
        ended_s: ArrayLike = np.nan,
        ids: ArrayLike | None = None,
        asks: ArrayLike = -1,
        curves: Curves | None = None,
    ) -> Self:
        """This history and some finished results behind it; NaN means failed."""
        values = np.asarray(y, dtype=np.float64)
        if values.shape != (len(X),):
            raise DataError("results", expected=f"{len(X)} values", got=f"shape {values.shape}")
        bad = ~np.isfinite(values)
        y, status = np.where(bad, np.nan, values), np.where(bad, FAILED, OK).astype(np.int8)
        return self.then(self._records(X, y, status, seconds, epochs, ended_s, ids, asks, curves))

    def with_pending(
        self,
        X: Rows,
        epochs: ArrayLike | None = None,
        ids: ArrayLike | None = None,
        asks: ArrayLike = -1,
    ) -> Self:
        """This history and rows that are being evaluated right now."""
        if not len(X):
            return self
        return self.then(
            self._records(X, np.nan, PENDING, 0.0, epochs, np.nan, ids, asks, curves=None)
        )

    def _records(
        self,
        X: Rows,
        y: ArrayLike,
        status: ArrayLike,
        seconds: ArrayLike,
        epochs: ArrayLike | None,
        ended_s: ArrayLike,
        ids: ArrayLike | None,
        asks: ArrayLike,
        curves: Curves | None,
    ) -> Self:
        """Records of rows; new ids and whole trainings where nothing is said."""
        n = len(X)
        if ids is None:
            ids = np.arange(n) + (int(self.ids.max(initial=-1)) + 1)
        return type(self)(
            X=X.astype(self.X.dtype, copy=False),
            y=_column(y, n),
            status=_column(status, n, np.int8),
            seconds=_column(seconds, n),
            epochs=_column(self.max_epochs if epochs is None else epochs, n, np.int64),
            ended_s=_column(ended_s, n),
            ids=_column(ids, n, np.int64),
            asks=_column(asks, n, np.int64),
            curves={name: _matrix(name, values, n) for name, values in (curves or {}).items()},
            max_epochs=self.max_epochs,
        )

    def then(self, other: Self) -> Self:
        """The records of `other` behind these."""
        names = dict.fromkeys([*self.curves, *other.curves])
        return self._with(
            {name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in _N},
            {name: _behind(name, self, other) for name in names},
        )

    def __len__(self) -> int:
        return len(self.y)

    @property
    def ok(self) -> Self:
        """The finished results alone, whatever their epochs."""
        return self[self.status == OK]

    @property
    def told(self) -> Self:
        """The results that have come, failed ones too; nothing pending."""
        return self[self.status != PENDING]

    @property
    def pending(self) -> Self:
        """What is asked for and not yet answered."""
        return self[self.status == PENDING]

    @property
    def full(self) -> Self:
        """The finished results of whole trainings."""
        return self[(self.status == OK) & (self.epochs >= self.max_epochs)]

    @property
    def latest(self) -> Self:
        """One record a row, its last, in the order in which the rows first came."""
        if (self.ids[1:] > self.ids[:-1]).all():  # nothing was trained on, as is usual
            return self
        ids, back = np.unique(self.ids[::-1], return_index=True)
        return self if len(ids) == len(self) else self[len(self) - 1 - back]

    def __getitem__(self, keep: NDArray[np.bool_] | NDArray[np.int64] | slice) -> Self:
        """Some of the records."""
        return self._with(
            {name: getattr(self, name)[keep] for name in _N},
            {name: values[keep] for name, values in self.curves.items()},
        )

    def _with(self, columns: dict[str, Any], curves: dict[str, Floats]) -> Self:
        """These columns; a third of the time of `dataclasses.replace`, at each ask and tell."""
        return type(self)(**columns | {"curves": curves, "max_epochs": self.max_epochs})

    def best(self) -> int:
        """Index of the highest value among the results with most epochs; the oldest on ties.

        A value after few epochs says little beside one after many: those count only while
        nothing has got further.
        """
        ok = self.status == OK
        if not ok.any():
            raise DataError("no result yet", expected="at least one finished trial", got=0)
        return int(
            np.nanargmax(np.where(ok & (self.epochs == self.epochs[ok].max()), self.y, np.nan))
        )


_N = tuple(entry.name for entry in fields(History) if entry.name not in ("curves", "max_epochs"))


def _column(values: ArrayLike, n: int, kind: type[np.generic] = np.float64) -> NDArray[Any]:
    out = np.empty(n, dtype=kind)
    try:
        out[:] = values
    except (TypeError, ValueError) as error:
        raise DataError(
            "what is told with results", expected=f"a number, or {n} of them", got=error
        ) from error
    return out


def _matrix(name: str, values: ArrayLike, n: int) -> Floats:
    found = reals(values, f"curve {name!r}")
    if found.ndim != 2 or len(found) != n:
        raise DataError(f"curve {name!r}", expected=f"shape ({n}, epochs)", got=f"{found.shape}")
    return found


def _behind(name: str, first: History, second: History) -> Floats:
    """The curves of two histories, as wide as the longer ones."""
    parts = [one.curves.get(name, np.zeros((len(one), 0))) for one in (first, second)]
    out = np.full((len(first) + len(second), max(part.shape[1] for part in parts)), np.nan)
    for part, at in zip(parts, (0, len(first)), strict=True):
        out[at : at + len(part), : part.shape[1]] = part
    return out
