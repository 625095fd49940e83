"""`Told`: evidence that a table has, such as published zero-cost scores."""

from __future__ import annotations

from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foretell.errors import SettingError
from foretell.evidence.base import Evidence, Paid
from foretell.spaces.base import Rows


class Knows(Protocol):
    """What has columns by architecture: any `Table`."""

    def query(self, X: ArrayLike, column: str, *, missing: str) -> NDArray[np.float64]:
        """Values (n,) of rows (n, d)."""

    def values(self, name: str) -> NDArray[Any]:
        """A whole column."""


class Told(Evidence):
    """Columns of a table as evidence; a row that the table lacks has no answer.

    Args:
        columns: a column of numbers, or several.
        table: where they are.
        seconds: what a row's answer is said to cost.
        space: the space whose rows it sees; None to have the one of its predictor.

    >>> import foretell as ft
    >>> table = ft.Table.open("nb201-digits")
    >>> params = Told("params", table, space=table.space)
    >>> bool((params.values(table.X[:2])[:, 0] == table.column("params")[:2]).all())
    True
    """

    version = "1"
    block = 1_000_000
    free = ("table",)  # `depends_on` has its columns

    def __init__(
        self,
        columns: str | tuple[str, ...],
        table: Any = None,
        seconds: float = 0.0,
        space: Any = None,
    ) -> None:
        self.columns = columns
        self.table = table
        self.seconds = seconds
        self.space = space

    @property
    def features(self) -> tuple[str, ...]:  # type: ignore[override]  # known when made
        """The names of the columns."""
        return (self.columns,) if isinstance(self.columns, str) else tuple(self.columns)

    def depends_on(self) -> Any:
        """The columns themselves."""
        return [self._table.values(name) for name in self.features]

    def compute(self, X: Rows) -> Paid:
        """What the table has of rows (n, d)."""
        found = [self._table.query(X, name, missing="nan") for name in self.features]
        return Paid(np.stack(found, axis=1), self.seconds)

    @property
    def _table(self) -> Knows:
        if self.table is None:
            raise SettingError("evidence Told has no table", hint="Told('column', table)")
        known: Knows = self.table
        return known

    def __sklearn_clone__(self) -> Self:
        """Clones share the table."""
        other = type(self)(**self.get_params(deep=False))
        if (folder := getattr(self, "_folder", None)) is not None:
            other._folder = folder
        return other
