"""`Table`: results that are already known, looked up by architecture."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foretell.errors import DataError, SettingError, SpaceError, UnknownArchitectureError
from foretell.spaces.base import Rows, Space
from foretell.spaces.parts.load import load
from foretell.tables import finding
from foretell.tables.base import ARCH, Benchmark
from foretell.tables.files import converted, plain, text


class Table:
    """Known results of architectures: a published benchmark, or your own measurements.

    Columns of numbers can be queried; columns with any other text are kept and written back, but
    refused by `query`. Architectures that occur several times (equal by `space.row_key`) are
    repeats of one measurement: `query` gives their mean over the values that are there, `repeats`
    says how many records there were, and of a text column the first record is kept.

    Args:
        space: the space whose rows the table knows.
        X: architectures, (m, d); repeats allowed.
        columns: name -> m values, numbers or strings.
        curves: name -> a value an epoch, (m, e), NaN after the last one; of repeats the first
            record's are kept.
        source: what the table is called in messages.

    Shapes: `X` (n, d) the n different architectures in order of their first record; `repeats` (n,).

    Raises:
        SpaceError: a row is not of the space.
        DataError: a column has not m values.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(3, rng=0)
    >>> table = Table(space, X, {"val_acc": [0.5, 0.7, 0.6]})
    >>> table.query(X[[2, 0]], "val_acc").tolist()
    [0.6, 0.5]
    """

    def __init__(
        self,
        space: Space,
        X: ArrayLike,
        columns: Mapping[str, ArrayLike],
        curves: Mapping[str, ArrayLike] | None = None,
        *,
        source: str = "table",
    ) -> None:
        self.space, self.source = space, source
        rows = space.canonical_form(space.check(X))
        keys, first, group = np.unique(space.row_key(rows), return_index=True, return_inverse=True)
        by_age = np.argsort(first, kind="stable")  # position in `keys`, oldest record first
        self.X: Rows = rows[first[by_age]]
        self.repeats: NDArray[np.int64] = np.bincount(group, minlength=len(keys))[by_age]
        self._keys, self._at = keys, np.argsort(by_age, kind="stable")
        found: dict[str, NDArray[Any]] = {}
        for name, values in columns.items():
            array = np.asarray(values)
            if array.shape != (len(rows),) or name == ARCH:
                raise DataError(
                    f"column {name!r} of {source}",
                    expected=f"{len(rows)} values under another name than {ARCH!r}",
                    got=f"shape {array.shape}",
                )
            if array.dtype.kind in "biuf":
                array = _group_mean(array.astype(np.float64), group, len(keys))[by_age]
            else:
                array = array.astype(str).astype(object)[first[by_age]]
            found[str(name)] = array
        self._columns: Mapping[str, NDArray[Any]] = found
        self.curves: Mapping[str, NDArray[np.float64]] = {
            str(name): _curves(name, values, len(rows))[first[by_age]]
            for name, values in (curves or {}).items()
        }

    @classmethod
    def of_known(
        cls,
        space: Space,
        X: Rows,
        keys: NDArray[np.uint64],
        columns: Mapping[str, NDArray[Any]],
        curves: Mapping[str, NDArray[np.float64]],
        *,
        source: str,
    ) -> Self:
        """A table whose rows are known to be in canonical form and different.

        Args:
            space: of the rows.
            X: different rows in canonical form, (n, d).
            keys: `space.row_key(X)`, (n,).
            columns: name -> n values, float64 or objects; kept as it is, so it may read lazily.
            curves: name -> (n, e), kept likewise.
            source: what the table is called in messages.
        """
        table = cls.__new__(cls)
        table.space, table.source, table.X = space, source, X
        table.repeats = np.ones(len(X), dtype=np.int64)
        table._at = np.argsort(keys, kind="stable")
        table._keys, table._columns, table.curves = keys[table._at], columns, curves
        return table

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, space: Space | None = None) -> Table:
        """Read a .csv, .csv.gz or .parquet file with one `arch` column and any others.

        CSV is UTF-8 with commas and a header; a field that is empty, or nan, na, n/a, null or
        none in any case, is a missing value. A column in which all other fields are numbers is
        numeric. What `foretell data import` has written is opened without reading it all, and
        so are official files of known benchmarks, and the names of installed ones.

        Args:
            path: the file, or the name of an installed benchmark such as "nb-graph:cora".
            space: its notation is that of the `arch` column; None for files that say their space.
                Where its rows are numbered (nb201), a column `index` may stand for it.

        Raises:
            DataError: the file cannot be read; names the line and what is wrong there.
            MissingExtraError: Parquet without pyarrow.
        """
        if space is not None and not isinstance(space, Space):
            raise SettingError(
                "space of a table", expected="an ft.Space", got=repr(space),
                hint=f"spaces.get({space!r})" if isinstance(space, str) else None,
            )  # fmt: skip
        file = finding.path(path)
        if file.suffix.lower() == ".parquet" and file.exists():
            head = converted.header(file)
            if head is not None:
                return cls.of_known(*converted.read(file, head, space), source=file.name)
        elif (found := finding.benchmark(file)) is not None:
            return cls.of(found, space)
        columns, lines = plain.read(file, index=space is not None and space.numbered)
        if space is None:
            raise SettingError(
                f"table {file.name!r} does not say its space", hint="pass space=..., or --space"
            )
        strings = columns.pop(ARCH).tolist()
        if not strings:
            raise DataError(f"table {file.name!r} has no rows", hint="add one line a network")
        X = _parse(space, strings, file.name, lines)
        return cls(space, X, columns, source=file.name)

    @classmethod
    def of(cls, benchmark: Benchmark, space: Space | None = None) -> Self:
        """The table of what a reader has found, in `space`, or in the space that it says.

        Raises: DataError where `space` is another one.
        """
        if space is None:
            space = load(benchmark.space, **benchmark.settings)
        elif space.name != benchmark.space:
            raise DataError(
                f"{benchmark.source!r} is of space {benchmark.space!r}", got=f"space {space.name!r}"
            )
        columns = {name: column.values for name, column in benchmark.columns.items()}
        return cls(space, benchmark.X, columns, benchmark.curves, source=benchmark.source)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns beside `arch`, in the order of the file."""
        return tuple(self._columns)

    def __len__(self) -> int:
        return len(self.X)

    def __repr__(self) -> str:
        return (
            f"<table {self.source}: {len(self):,} architectures of {self.space.name}, "
            f"columns {', '.join(self.columns)}>"
        )

    def column(self, name: str) -> NDArray[np.float64]:
        """The values of a numeric column for each row of `X`, (n,); NaN where missing.

        Raises: DataError when there is no such column, or it holds text.
        """
        values = self.values(name)
        if values.dtype == object:
            odd = next((cell for cell in values if not text.is_number(cell)), None)
            raise DataError(
                f"column {name!r} of {self.source}",
                expected="numbers",
                got="text, in a repeat of a row" if odd is None else f"text such as {odd[:40]!r}",
                hint="query a numeric column, or correct the file",
            )
        return values

    def values(self, name: str) -> NDArray[Any]:
        """The values of any column for each row of `X`, (n,): numbers or texts.

        Raises: DataError when there is no such column.
        """
        if name not in self._columns:
            near = difflib.get_close_matches(str(name), self.columns, n=1, cutoff=0.5)
            raise DataError(
                f"no column {name!r} in {self.source}",
                expected="one of " + ", ".join(self.columns),
                hint=f"did you mean {near[0]!r}?" if near else "choose one of these",
            )
        return self._columns[name]

    def curve(self, name: str) -> NDArray[np.float64]:
        """The learning curves of a metric for each row of `X`, (n, e); NaN after the last epoch.

        Raises: DataError when there are none of that name.
        """
        if name not in self.curves:
            raise DataError(
                f"no curve {name!r} in {self.source}",
                expected="one of " + ", ".join(self.curves) if self.curves else "a table of curves",
                hint="choose another",
            )
        return self.curves[name]

    def query(
        self, X: ArrayLike, column: str, *, missing: Literal["error", "nan"] = "error"
    ) -> NDArray[np.float64]:
        """The values of `column` for the rows `X`.

        Args:
            X: architectures, (n, d).
            column: a numeric column.
            missing: what an absent value gives: an error, or "nan". An architecture that the
                table does not hold is always an error.

        Shapes: (n, d) to (n,) float64.

        Raises:
            UnknownArchitectureError: names the first row that the table does not hold.
            DataError: no such column, text, or a missing value.
        """
        if missing not in ("error", "nan"):
            raise SettingError("missing", expected="'error' or 'nan'", got=repr(missing))
        values = self.column(column)
        rows = self.space.check(X)
        out = values[self._places(rows)]
        if missing == "error":
            absent = np.isnan(out)
            if absent.any():
                i = int(np.argmax(absent))
                raise DataError(
                    f"{self.source} has no {column!r} for architecture "
                    f"{self.space.to_str(rows[i : i + 1])[0]} (row {i})",
                    hint="pass missing='nan', or leave these rows out",
                )
        return out

    def find(self, X: ArrayLike) -> NDArray[np.intp]:
        """Where each row of X, (n, d), stands in `self.X`, (n,).

        Raises: UnknownArchitectureError naming the first row that the table does not hold.
        """
        return self._places(self.space.check(X))

    def _places(self, rows: Rows) -> NDArray[np.intp]:
        """What `find` gives, for checked rows."""
        at, known = self._find(rows)
        if not known.all():
            i = int(np.argmin(known))
            raise UnknownArchitectureError(
                f"{self.source} does not hold architecture {self.space.to_str(rows[i : i + 1])[0]}"
                f" (row {i})",
                hint="ask only for rows of table.X, or test with table.contains(X)",
            )
        return at

    def contains(self, X: ArrayLike) -> NDArray[np.bool_]:
        """Which rows the table holds, (n,)."""
        return self._find(self.space.check(X))[1]

    def _find(self, rows: Rows) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Positions in `self.X`, and which of them are real."""
        keys = self.space.row_key(rows)
        if not len(self._keys):
            return np.zeros(len(keys), dtype=np.intp), np.zeros(len(keys), dtype=bool)
        spot = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return self._at[spot], self._keys[spot] == keys

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the table as .csv, .csv.gz or .parquet; repeats are written as their means.

        The file appears complete or not at all.
        """
        file = Path(path)
        plain.write(file, self.space.to_str(self.X), self._columns)
        return file


def _group_mean(values: NDArray[np.float64], group: NDArray[np.intp], n: int) -> NDArray[Any]:
    """Mean of the values that are there in each of `n` groups; NaN in an empty one."""
    if n == len(values):  # nothing repeats: a mean would only round
        out = np.empty(n)
        out[group] = values
        return out
    there = ~np.isnan(values)
    count = np.bincount(group[there], minlength=n)
    total = np.bincount(group[there], values[there], minlength=n)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _curves(name: str, values: ArrayLike, n: int) -> NDArray[np.float64]:
    curves = np.asarray(values, dtype=np.float64)
    if curves.ndim != 2 or len(curves) != n:
        raise DataError(f"curves {name!r}", expected=f"shape ({n}, epochs)", got=curves.shape)
    return curves


def _parse(space: Space, strings: list[str], name: str, lines: list[int] | None) -> Rows:
    try:
        return space.from_str(strings)
    except SpaceError:
        for i, text in enumerate(strings):
            try:
                space.from_str([text])
            except SpaceError as error:
                where = f"line {lines[i]}" if lines else f"record {i + 1}"
                raise DataError(
                    f"table {name!r}, {where}: {error}", hint="correct that architecture"
                ) from error
        raise
