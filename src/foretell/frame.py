"""A small table of named columns: what `ranking_` is, and how the run's CSV files are written."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell._files import regular, write_text
from foretell.errors import RunError


class Frame:
    """Named columns of equal length; `frame["arch"]` is an array, `frame.head()` its first rows.

    >>> frame = Frame({"arch": ["a", "b", "c"], "predicted": [0.9, 0.8, 0.75]})
    >>> len(frame), frame["predicted"].max()
    (3, np.float64(0.9))
    >>> print(frame.head(2))
    arch  predicted
    a           0.9
    b           0.8
    """

    def __init__(self, columns: Mapping[str, Sequence[Any] | NDArray[Any]]) -> None:
        self._columns = {name: np.asarray(values) for name, values in columns.items()}

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._columns[name]

    def __len__(self) -> int:
        return min((len(values) for values in self._columns.values()), default=0)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self._columns)

    def head(self, n: int = 5) -> Frame:
        """The first `n` rows."""
        return Frame({name: values[:n] for name, values in self._columns.items()})

    def rows(self) -> list[tuple[Any, ...]]:
        """The rows as tuples of plain values."""
        return list(zip(*(values.tolist() for values in self._columns.values()), strict=True))

    def __str__(self) -> str:
        texts = [[name, *map(_cell, values.tolist())] for name, values in self._columns.items()]
        widths = [max(map(len, column)) for column in texts]
        right = [values.dtype.kind in "iuf" for values in self._columns.values()]
        return "\n".join(
            "  ".join(
                cell.rjust(width) if number else cell.ljust(width)
                for cell, width, number in zip(line, widths, right, strict=True)
            ).rstrip()
            for line in zip(*texts, strict=True)
        )

    __repr__ = __str__

    def write(self, path: Path) -> None:
        """Write a CSV file; missing numbers are empty cells."""
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(self.columns)
        lines.writerows(
            ["" if isinstance(v, float) and math.isnan(v) else v for v in row]
            for row in self.rows()
        )
        write_text(path, text.getvalue())

    @classmethod
    def read(cls, path: Path, kinds: Mapping[str, type]) -> Frame:
        """The columns `kinds` (name -> str, int or float) of a CSV file.

        Raises: RunError when the file has not got them.
        """
        texts = columns_of(path)
        try:
            return cls({name: _typed(texts[name], kind) for name, kind in kinds.items()})
        except (ValueError, KeyError, TypeError) as error:
            raise _unreadable(path, error, f"columns {', '.join(kinds)}") from error


def columns_of(path: Path) -> dict[str, list[str]]:
    """All columns of a CSV file that a `Frame` has written, as text; none of an empty file.

    Raises: RunError when it cannot be read, or a line has not as many fields as the first.
    """
    try:
        with regular(path).open(encoding="utf-8", newline="") as file:
            head, *rows = [line for line in csv.reader(file) if line] or [[]]
        columns = zip(*rows, strict=True) if rows else [()] * len(head)
        return {name: list(column) for name, column in zip(head, columns, strict=True)}
    except (OSError, ValueError, csv.Error) as error:
        raise _unreadable(path, error, "as many fields in each line") from error


def _unreadable(path: Path, error: Exception, expected: str) -> RunError:
    return RunError(
        f"cannot read {path}: {type(error).__name__}: {error}",
        expected=expected,
        hint="restore the file, or start anew with another --out",
    )


def _typed(texts: Sequence[str], kind: type) -> NDArray[Any]:
    """A column of text as numbers; an empty cell is NaN, where the column can hold it."""
    words = [text or "nan" for text in texts] if kind is float else texts
    return np.array([kind(word) for word in words], dtype=kind)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.5g}"
    return str(value)
