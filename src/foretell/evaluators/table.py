"""`Table`: results that are already known, looked up by architecture."""

from __future__ import annotations

import csv
import difflib
import gzip
import io
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foretell.errors import (
    DataError,
    ForetellError,
    SettingError,
    SpaceError,
    UnknownArchitectureError,
    need,
)
from foretell.evaluators.base import Evaluator, Result
from foretell.spaces.base import Rows, Space

ARCH = "arch"  # the column of architecture strings
_MISSING = frozenset({"", "nan", "na", "n/a", "null", "none"})
_SUFFIXES = ".csv, .csv.gz or .parquet"


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

    @classmethod
    def of_known(
        cls,
        space: Space,
        X: Rows,
        keys: NDArray[np.uint64],
        columns: Mapping[str, NDArray[Any]],
        *,
        source: str,
    ) -> Self:
        """A table whose rows are known to be in canonical form and different.

        Args:
            space: of the rows.
            X: different rows in canonical form, (n, d).
            keys: `space.row_key(X)`, (n,).
            columns: name -> n values, float64 or objects; kept as it is, so it may read lazily.
            source: what the table is called in messages.
        """
        table = cls.__new__(cls)
        table.space, table.source, table.X = space, source, X
        table.repeats = np.ones(len(X), dtype=np.int64)
        table._at = np.argsort(keys, kind="stable")
        table._keys, table._columns = keys[table._at], columns
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

        Raises:
            DataError: the file cannot be read; names the line and what is wrong there.
            MissingExtraError: Parquet without pyarrow.
        """
        from foretell import benchmarks

        found = benchmarks.table(path, space)
        if found is not None:
            return found
        file = Path(path)
        columns, lines = read_columns(file)
        if space is None:
            raise SettingError(
                f"table {file.name!r} does not say its space", hint="pass space=..., or --space"
            )
        strings = columns.pop(ARCH).tolist()
        if not strings:
            raise DataError(f"table {file.name!r} has no rows", hint="add one line a network")
        X = _parse(space, strings, file.name, lines)
        return cls(space, X, columns, source=file.name)

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
            at = next(i for i, text in enumerate(values) if not _is_number(text))
            raise DataError(
                f"column {name!r} of {self.source}",
                expected="numbers",
                got=f"text such as {values[at][:40]!r}",
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
        at, known = self._find(rows)
        if not known.all():
            i = int(np.argmin(known))
            raise UnknownArchitectureError(
                f"{self.source} does not hold architecture {self.space.to_str(rows[i : i + 1])[0]}"
                f" (row {i})",
                hint="ask only for rows of table.X, or test with table.contains(X)",
            )
        out = values[at]
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

    def evaluator(self, column: str, direction: Literal["max", "min"] = "max") -> TableEvaluator:
        """An evaluator that looks `column` up instead of training."""
        if direction not in ("max", "min"):
            raise SettingError("direction", expected="'max' or 'min'", got=repr(direction))
        self.column(column)
        return TableEvaluator(self, column, direction)

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the table as .csv, .csv.gz or .parquet; repeats are written as their means.

        The file appears complete or not at all.
        """
        file = Path(path)
        name = file.name.lower()
        temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
        if not name.endswith((".csv", ".csv.gz", ".parquet")):
            raise DataError(f"cannot write {file.name!r}", expected=f"a name in {_SUFFIXES}")
        try:
            if name.endswith(".parquet"):
                self._write_parquet(temporary)
            else:
                opener = gzip.open if name.endswith(".gz") else open
                with opener(temporary, "wt", encoding="utf-8", newline="") as out:
                    writer = csv.writer(out, lineterminator="\n")
                    writer.writerow([ARCH, *self.columns])
                    cells = [
                        ["" if isinstance(v, float) and v != v else v for v in values.tolist()]
                        for values in self._columns.values()
                    ]
                    writer.writerows(zip(self.space.to_str(self.X), *cells, strict=True))
            os.replace(temporary, file)
        except OSError as error:
            raise DataError(
                f"cannot write {str(file)!r}", got=error, hint="check folder"
            ) from error
        finally:
            temporary.unlink(missing_ok=True)
        return file

    def _write_parquet(self, file: Path) -> None:
        pa, pq = _pyarrow()
        columns = {ARCH: self.space.to_str(self.X)}
        columns |= {
            name: pa.array(values.tolist(), from_pandas=True)
            for name, values in self._columns.items()
        }
        pq.write_table(pa.table(columns), file)


@dataclass(frozen=True)
class TableEvaluator(Evaluator):
    """Looks results up in a table; an architecture without a value is a failed trial."""

    table: Table
    objective: str
    direction: Literal["max", "min"] = "max"

    @property
    def space(self) -> Space:  # type: ignore[override]  # not to be set here
        """The table's space."""
        return self.table.space

    def evaluate(self, x: Rows, seed: int = 0) -> Result:
        """The table's value of the row `x`, (d,); the seed changes nothing."""
        try:
            value = float(self.table.query(np.asarray(x)[None], self.objective)[0])
        except ForetellError as error:
            return Result(seed=seed, error=str(error))
        return Result({self.objective: value}, seed=seed)


def read_columns(file: Path) -> tuple[dict[str, NDArray[Any]], list[int] | None]:
    """Columns of a .csv, .csv.gz or .parquet file, and the line of each record of the former.

    Raises: DataError where it cannot be read, or has no column `arch`.
    """
    name = file.name.lower()
    if not file.is_file():
        raise DataError(
            f"no table {str(file)!r}",
            expected=f"a {_SUFFIXES} file",
            got="a folder" if file.is_dir() else "no such file",
            hint="check the path",
        )
    columns: dict[str, NDArray[Any]]
    lines: list[int] | None = None
    if name.endswith((".csv", ".csv.gz")):
        columns, lines = _read_csv(file)
    elif name.endswith(".parquet"):
        columns = _read_parquet(file)
    else:
        raise DataError(
            f"table {file.name!r}", expected=f"a {_SUFFIXES} file", hint="rename or convert it"
        )
    if ARCH not in columns:
        raise _no_arch(file.name, list(columns))
    return columns, lines


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


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text.strip().lower() in _MISSING
    return True


def _numbers_or_text(texts: list[str]) -> NDArray[Any]:
    """A float64 column when all fields are numbers or missing, else the strings."""
    try:
        return np.array(
            [float("nan") if text.strip().lower() in _MISSING else float(text) for text in texts]
        )
    except ValueError:
        return np.array(texts, dtype=object)


def _no_arch(name: str, found: list[str]) -> DataError:
    shown = ", ".join(found)[:120]
    alone = len(found) == 1 and any(mark in found[0] for mark in ";\t")
    return DataError(
        f"table {name!r} has no {ARCH!r} column, line 1",
        expected=f"a header with {ARCH!r}",
        got=repr(shown),
        hint="separate the fields by commas" if alone else f"name the architectures {ARCH!r}",
    )


def _read_csv(file: Path) -> tuple[dict[str, NDArray[Any]], list[int]]:
    """Columns of the file, and the line on which each record ends."""
    records: list[list[str]] = []
    lines: list[int] = []
    header: list[str] = []
    line = 0
    try:
        raw = file.read_bytes()
        if file.name.lower().endswith(".gz"):
            raw = gzip.decompress(raw)
        reader = csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""), strict=True)
        for record in _records(reader):
            line = reader.line_num
            if not header:
                header = [name.strip() for name in record]
                if ARCH not in header:
                    raise _no_arch(file.name, header)
                if len(set(header)) < len(header) or "" in header:
                    raise DataError(
                        f"table {file.name!r}, line {line}",
                        expected="column names that differ and are not empty",
                        got=", ".join(map(repr, header))[:120],
                        hint="rename the columns",
                    )
            elif len(record) != len(header):
                raise DataError(
                    f"table {file.name!r}, line {line}",
                    expected=f"{len(header)} fields as in the header",
                    got=len(record),
                    hint='put quotes around a field that contains a comma: "a=1,b=2"',
                )
            else:
                records.append(record)
                lines.append(line)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"table {file.name!r} is not a whole gzip file", got=error, hint="copy it again"
        ) from error
    except UnicodeDecodeError as error:
        at = error.object[: error.start].count(b"\n") + 1
        raise DataError(
            f"table {file.name!r}, line {at}",
            expected="UTF-8 text",
            got=f"byte 0x{error.object[error.start]:02x}",
            hint="save it as UTF-8",
        ) from error
    except csv.Error as error:
        raise DataError(
            f"table {file.name!r}, line {line + 1}", got=error, hint="correct that line"
        ) from error
    except OSError as error:
        raise DataError(f"cannot read {str(file)!r}", got=error, hint="check it") from error
    if not header:
        raise DataError(
            f"table {file.name!r} is empty", expected=f"a header with {ARCH!r}, then one line each"
        )
    cells = list(zip(*records, strict=True)) or [()] * len(header)
    return {
        name: np.array(column, dtype=object) if name == ARCH else _numbers_or_text(list(column))
        for name, column in zip(header, cells, strict=True)
    }, lines


def _records(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    return (record for record in reader if record)  # a blank line is no record


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise need("pyarrow", "bench", "a Parquet table") from None
    return pyarrow, pyarrow.parquet


def _read_parquet(file: Path) -> dict[str, NDArray[Any]]:
    pa, pq = _pyarrow()
    try:
        table = pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"table {file.name!r} is not a Parquet file that pyarrow can read",
            got=str(error).splitlines()[0][:120],
            hint="write it again",
        ) from error
    out: dict[str, NDArray[Any]] = {}
    for name in table.column_names:
        column, kind = table[name], table.schema.field(name).type
        if name != ARCH and (
            pa.types.is_integer(kind)
            or pa.types.is_floating(kind)
            or pa.types.is_boolean(kind)
            or pa.types.is_decimal(kind)
            or pa.types.is_null(kind)
        ):
            cells = [float("nan") if v is None else float(v) for v in column.to_pylist()]
            out[name] = np.array(cells, dtype=np.float64)
        else:
            texts = ["" if v is None else str(v) for v in column.to_pylist()]
            out[name] = np.array(texts, dtype=object)
    return out


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
