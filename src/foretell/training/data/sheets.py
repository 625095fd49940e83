"""CSV files: cells to columns, and columns to numbers as the training rows define them."""

from __future__ import annotations

import csv
import gzip
import io
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foretell._files import expanded, regular
from foretell.errors import DataError
from foretell.training.data.cells import CODE, MISSING, NO_NUMBER, number, style

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
_MOST_NUMBERS = 0.9  # share of numbers from which a column of text is worth a word
_NOTHING = ("nan", "<NA>", "NaT")  # of a DataFrame, as text
MOST_VALUES = 100  # different texts in one column that become one feature each


class Column(NamedTuple):
    """One column: its cells with "" where missing, and as numbers (NaN there) if all are."""

    name: str
    texts: tuple[str, ...]
    numbers: NDArray[np.float64] | None
    not_a_number: str = ""  # the first cell that is text, and where
    cells: tuple[str, ...] = ()  # as they are in the file
    how: str = ""  # how numbers are written, where it is not plain
    share: float = 0.0  # of the cells that could be numbers

    @property
    def is_code(self) -> bool:
        """Whether its numbers are names, which are other ones without their zeros or last digits.

        >>> Column("zip", ("01", "1"), np.ones(2), cells=("01", "1")).is_code
        True
        """
        return any(CODE.fullmatch(cell) for cell in self.cells)


class Sheet(NamedTuple):
    """A parsed file: its columns, and the line of the file on which each row ends."""

    columns: tuple[Column, ...]
    lines: list[int]


def read_csv(path: Path) -> Sheet:
    """The columns of a CSV or TSV file (UTF-8, one header line, comma, semicolon or tab).

    Raises:
        DataError: no header, no rows, a row with more or fewer cells, text that is not UTF-8.
    """
    rows, lines = _rows(path)
    header = [cell.strip() for cell in rows[0]]
    if len(rows) < 2:
        raise DataError(f"{path} has no rows", expected="a header line and rows of data", got=1)
    if not any(cell and number(cell) is None for cell in header):
        raise DataError(
            f"{path} has no header",
            expected="column names in the first line",
            got=",".join(header)[:80],
            hint="put a line of names at the top",
        )
    for j, name in enumerate(header):
        if not name or name in header[:j]:
            raise DataError(
                f"column {j + 1} of {path}",
                expected="a name of its own in the header",
                got=repr(name),
                hint="name it, or delete it if it only numbers the rows",
            )
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(header):
            raise DataError(f"line {line} of {path}", expected=f"{len(header)} cells", got=len(row))
    cells = zip(*rows[1:], strict=True)
    return Sheet(
        tuple(_column(name, values, lines[1:]) for name, values in zip(header, cells, strict=True)),
        lines[1:],
    )


def of_frame(frame: Any) -> tuple[Column, ...]:
    """The columns of a DataFrame as those of its .csv file."""
    names = [str(name) for name in frame.columns]
    if len(set(names)) < len(names):
        raise DataError("columns of a table", expected="names that differ", got=names)
    if not names or not len(frame):
        raise DataError("a table", expected="rows and columns", got=f"shape {frame.shape}")
    return tuple(
        of_values(name, frame[key]) for name, key in zip(names, frame.columns, strict=True)
    )


def of_values(name: str, values: Any) -> Column:
    """A column of values; None and NaN are missing."""
    array = np.asarray(values)
    if array.dtype.kind in "iuf":
        numbers = array.astype(np.float64)
        endless = np.flatnonzero(np.isinf(numbers))
        if len(endless):
            raise DataError(
                f"column {name!r}, row {endless[0]}", expected="a finite number", got="infinity"
            )
        each = zip(numbers.tolist(), array.tolist(), strict=True)
        texts = tuple("" if math.isnan(value) else str(one) for value, one in each)
        return Column(name, texts, numbers, cells=texts, share=1.0)
    values = array.tolist()
    cells = ["" if one is None or str(one) in _NOTHING else str(one) for one in values]
    return _column(name, cells, range(len(cells)))


def joined(columns: Sequence[Column]) -> Column:
    """One column of several files below each other; numbers where it is numbers in all."""
    cells = [cell for column in columns for cell in column.cells]
    return _column(columns[0].name, cells, range(2, len(cells) + 2))


def fit(columns: Sequence[Column], train: NDArray[np.int64]) -> tuple[list[dict[str, Any]], str]:
    """How each column becomes features, decided on the training rows, and a note on it.

    A number's missing cells take the median; a text becomes one 0/1 feature for each of its
    values (at most 100), all 0 where it is missing or new. A column without any value is left out.

    Returns:
        JSON-able: {"name", "fill"} for numbers, {"name", "values"} for texts.
    """
    spec: list[dict[str, Any]] = []
    filled: list[str] = []
    for column in columns:
        if column.numbers is not None:
            known = column.numbers[train]
            known = known[np.isfinite(known)]
            if not len(known):
                continue
            spec.append({"name": column.name, "fill": float(np.median(known))})
            missing = int(np.isnan(column.numbers).sum())
            filled += [f"{missing} in {column.name!r}"] * (missing > 0)
            continue
        values = sorted({column.texts[i] for i in train} - {""})
        if len(values) > MOST_VALUES:
            raise DataError(
                f"text column {column.name!r} has {len(values):,} different values",
                expected=f"at most {MOST_VALUES}",
                got=f"text {column.not_a_number}",
                hint="leave it out (--drop), group its rare values, or correct that cell if the "
                "column should be numbers",
            )
        if values:
            spec.append({"name": column.name, "values": values})
    if not spec:
        raise DataError("no column to learn from", expected="a feature column with values")
    return spec, f"missing numbers take the train median: {', '.join(filled)}" if filled else ""


def features(columns: Sequence[Column], spec: Sequence[dict[str, Any]]) -> NDArray[np.float64]:
    """The columns as numbers, in the order of `spec`; other columns are not used.

    Shapes: returns (n, features).

    Raises:
        DataError: a column of `spec` is missing, or is text where numbers were.
    """
    by_name = {column.name: column for column in columns}
    blocks = []
    for one in spec:
        column = by_name.get(one["name"])
        if column is None:
            raise DataError(
                f"no column {one['name']!r}", expected="the columns of training", got=list(by_name)
            )
        if "values" in one:
            place = {value: j for j, value in enumerate(one["values"])}
            at = np.array([place.get(text, -1) for text in column.texts])
            blocks.append((at[:, None] == np.arange(len(place))).astype(np.float64))
        elif column.numbers is None:
            raise DataError(f"column {one['name']!r}", expected="numbers", got=column.not_a_number)
        else:
            blocks.append(np.nan_to_num(column.numbers, nan=one["fill"])[:, None])
    return np.concatenate(blocks, axis=1)


def is_one_hot(spec: Sequence[dict[str, Any]]) -> NDArray[np.bool_]:
    """Which features are 0/1 from a text column, shape (features,)."""
    widths = [len(one["values"]) if "values" in one else 1 for one in spec]
    return np.repeat(["values" in one for one in spec], widths)


def _rows(path: Path) -> tuple[list[list[str]], list[int]]:
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        if regular(path).suffix == ".gz":
            with gzip.open(path) as packed:
                whole = expanded(packed, path.stat().st_size)
            text: IO[str] = io.StringIO(whole.decode("utf-8-sig"), newline="")
        else:
            text = path.open(encoding="utf-8-sig", newline="")
        with text as file:
            head = file.readline()
            file.seek(0)
            delimiter = max(",;\t|", key=head.count)
            reader = csv.reader(file, delimiter=delimiter, strict=True, skipinitialspace=True)
            for row in reader:
                if any(cell.strip() for cell in row):
                    rows.append(row)
                    lines.append(reader.line_num)
    except (OSError, EOFError, zlib.error, UnicodeError, csv.Error) as error:
        at = f", after line {lines[-1]}" if lines else ""
        raise DataError(
            f"cannot read {path}{at}", expected="CSV text in UTF-8", got=str(error)
        ) from error
    if not rows:
        raise DataError(f"{path} is empty", expected="a header line and rows of data")
    return rows, lines


def _column(name: str, cells: Sequence[str], lines: Sequence[int]) -> Column:
    stripped = tuple(cell.strip() for cell in cells)
    texts = tuple("" if cell.lower() in MISSING else cell for cell in stripped)
    known = [cell for cell in stripped if cell.lower() not in NO_NUMBER]
    how, read = style(known)
    values = [math.nan if cell.lower() in NO_NUMBER else read(cell) for cell in stripped]
    bad = [i for i, value in enumerate(values) if value is None]
    if bad or (not known and any(texts)):
        first = f"{stripped[bad[0]][:40]!r} in line {lines[bad[0]]}" if bad else repr(stripped[0])
        share = 1 - len(bad) / max(1, len(known))
        return Column(name, texts, None, first, stripped, share=share)
    numbers = np.array(values, dtype=np.float64)
    for i in np.flatnonzero(~np.isfinite(numbers)).tolist():
        if stripped[i].lower() not in NO_NUMBER:
            raise DataError(
                f"column {name!r}, line {lines[i]}", expected="a finite number", got=stripped[i]
            )
    texts = tuple("" if cell.lower() in NO_NUMBER else cell for cell in stripped)
    return Column(name, texts, numbers, cells=stripped, how=how, share=1.0)


def taken(columns: Sequence[Column], spec: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """What each column was taken for, in words: "name", "as" and "note"."""
    kept = {one["name"]: one for one in spec}
    out = []
    for column in columns:
        one = kept.get(column.name)
        notes = []
        if one is None:
            kind = "left out"
            notes.append("no values")
        elif "values" in one:
            kind = "text"
            notes.append(f"{len(one['values'])} different: {', '.join(one['values'][:5])}")
            if column.share >= _MOST_NUMBERS:
                notes.append(f"no number because of {column.not_a_number}")
        else:
            kind = "number"
            missing = int(np.isnan(column.numbers).sum()) if column.numbers is not None else 0
            notes += [column.how] * bool(column.how)
            notes += [f"{missing} missing, taken as {one['fill']:.6g}"] * bool(missing)
        out.append({"name": column.name, "as": kind, "note": "; ".join(notes)})
    return out
