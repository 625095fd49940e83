"""CSV files: cells to columns, and columns to numbers as the training rows define them."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import itertools
import math
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foretell._files import expanded, regular
from foretell.errors import DataError
from foretell.training.data.cells import CODE, MISSING, NO_NUMBER, Style, number, style

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
_MOST_NUMBERS = 0.9  # share of numbers from which a column of text is worth a word
_NOTHING = ("nan", "<NA>", "NaT")  # of a DataFrame, as text
_DELIMITERS = ",;\t|"
_SEPARATOR = re.compile(r"sep=(.)", re.IGNORECASE)  # a line of spreadsheets
_RESAVE = 'save it as UTF-8 ("CSV UTF-8" in Excel)'
_SNIFFED = 50  # lines that are looked at to see what separates cells
MOST_VALUES = 100  # different texts in one column that become one feature each


class Column(NamedTuple):
    """One column: its cells with "" where missing, and as numbers (NaN there) if all are."""

    name: str
    texts: tuple[str, ...]
    numbers: NDArray[np.float64] | None
    not_a_number: str = ""  # the first cell that is text, and where
    cells: tuple[str, ...] = ()  # as they are in the file
    style: Style | None = None  # how its numbers are written, where they came as text
    share: float = 0.0  # of the cells that could be numbers

    @property
    def is_code(self) -> bool:
        """Whether its numbers are names, which are other ones without their zeros or last digits.

        >>> Column("zip", ("01", "1"), np.ones(2), cells=("01", "1")).is_code
        True
        """
        return any(CODE.fullmatch(cell) for cell in self.cells)

    def written(self, style: Style) -> Column:
        """The same cells read in this style, where they can be: 1,234 alone may be either.

        >>> short = _column("a", ["1,234"], [2])
        >>> float(short.numbers[0]), float(short.written(Style(decimal=",")).numbers[0])
        (1234.0, 1.234)
        """
        if self.style == style or (self.style is None and self.numbers is not None):
            return self
        values = style.numbers(self.cells)
        if None in values:
            return self
        return self._replace(numbers=np.array(values, dtype=np.float64), style=style)


class Sheet(NamedTuple):
    """A parsed file: its columns, the line of the file on which each row ends, and what was left
    out."""

    columns: tuple[Column, ...]
    lines: list[int]
    notes: tuple[str, ...] = ()


def read_csv(path: Path) -> Sheet:
    """The columns of a CSV or TSV file: UTF-8, or UTF-16 with its mark; one header line.

    What separates cells is what gives all lines the same number of them. Comments (`#`) above the
    header and a line `sep=;` are skipped, and so are columns without a name that are empty or, in
    the first place, number the rows.

    Raises:
        DataError: no header, no rows, a row with more or fewer cells, text in another encoding.
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
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(header):
            raise DataError(f"line {line} of {path}", expected=f"{len(header)} cells", got=len(row))
    columns: list[Column] = []
    notes: list[str] = []
    for j, (name, cells) in enumerate(zip(header, zip(*rows[1:], strict=True), strict=True)):
        what = "" if name else _nothing(cells, first=j == 0)
        if what:
            notes.append(f"column {j + 1} has no name and was left out: {what}")
            continue
        if not name or name in header[:j]:
            raise DataError(
                f"column {j + 1} of {path}",
                expected="a name of its own in the header",
                got=repr(name),
                hint="name it, or delete it",
            )
        columns.append(_column(name, cells, lines[1:]))
    return Sheet(tuple(columns), lines[1:], tuple(notes))


def _nothing(cells: Sequence[str], *, first: bool) -> str:
    """What a column without a name has, where that says nothing of its rows; else ""."""
    if not any(cell.strip() for cell in cells):
        return "it is empty"
    numbered = first and all(cell.strip().isdecimal() for cell in cells)
    return "numbers of the rows" if numbered and len(set(cells)) == len(cells) else ""


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
        JSON-able: {"name", "fill"} for numbers, with "style" where they are not plain, {"name",
        "values"} for texts.
    """
    spec: list[dict[str, Any]] = []
    filled: list[str] = []
    for column in columns:
        if column.numbers is not None:
            known = column.numbers[train]
            known = known[np.isfinite(known)]
            if not len(known):
                continue
            one: dict[str, Any] = {"name": column.name, "fill": float(np.median(known))}
            if column.style and column.style != Style():
                one["style"] = column.style.spec
            spec.append(one)
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
            continue
        column = column.written(Style(*one["style"]) if one.get("style") else Style())
        if column.numbers is None:
            raise DataError(f"column {one['name']!r}", expected="numbers", got=column.not_a_number)
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
            text: IO[str] = io.StringIO(whole.decode(_encoding(whole[:2])), newline="")
        else:
            with path.open("rb") as raw:
                encoding = _encoding(raw.read(2))
            text = path.open(encoding=encoding, newline="")
        with text as file:
            skipped, delimiter = _dialect(file)
            reader = csv.reader(file, delimiter=delimiter, strict=True, skipinitialspace=True)
            for row in reader:
                if any("\0" in cell for cell in row):
                    raise UnicodeError("a byte of zero")
                if any(cell.strip() for cell in row):
                    rows.append(row)
                    lines.append(reader.line_num + skipped)
    except (OSError, EOFError, zlib.error, UnicodeError, csv.Error) as error:
        at = f", after line {lines[-1]}" if lines else ""
        raise DataError(
            f"cannot read {path}{at}", expected="CSV text in UTF-8", got=str(error),
            hint=_RESAVE if isinstance(error, UnicodeError) else None,
        ) from error  # fmt: skip
    if not rows:
        raise DataError(f"{path} is empty", expected="a header line and rows of data")
    return rows, lines


def _encoding(head: bytes) -> str:
    return "utf-16" if head in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def _dialect(file: IO[str]) -> tuple[int, str]:
    """How many lines stand above the header, which comes next in `file`, and what separates cells.

    It is what gives the first lines equally many cells, the most where several do; else what
    stands most often in the header.
    """
    head = list(itertools.islice(file, _SNIFFED))
    asked = _SEPARATOR.fullmatch(head[0].rstrip("\r\n")) if head else None
    above = 1 if asked else 0
    marked = above  # behind comments
    while marked < len(head) and (head[marked].startswith("#") or not head[marked].strip()):
        marked += 1
    lines = head[marked:]
    counts = {one: _widths(lines, one) for one in _DELIMITERS}
    even = [one for one, found in counts.items() if len(found) == 1 and max(found) > 1]
    if asked:
        delimiter = asked[1]
    elif even:
        delimiter = max(even, key=lambda one: max(counts[one]))
    else:
        delimiter = max(_DELIMITERS, key="".join(lines[:1]).count)
    while above < marked and _widths(head[above : above + 1], delimiter) != _widths(
        lines[:1], delimiter
    ):
        above += 1  # but a header may begin with its mark, as numpy writes it
    file.seek(0)
    for _ in range(above):
        file.readline()
    return above, delimiter


def _widths(lines: Sequence[str], delimiter: str) -> set[int]:
    """How many cells the lines have, each of them once; none where they cannot be read so."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
    found = set()
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                found.add(len(row))
    except csv.Error:
        return found if reader.line_num == len(lines) else set()  # the last one is cut off
    return found


def _column(name: str, cells: Sequence[str], lines: Sequence[int]) -> Column:
    stripped = tuple(cell.strip() for cell in cells)
    texts = tuple("" if cell.lower() in MISSING else cell for cell in stripped)
    known = [cell for cell in stripped if cell.lower() not in NO_NUMBER]
    found = style(known)
    values = (found or Style()).numbers(stripped)
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
    return Column(name, texts, numbers, cells=stripped, style=found, share=1.0)


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
            how = column.style.how if column.style else ""
            notes += [how] * bool(how)
            notes += [f"{missing} missing, taken as {one['fill']:.6g}"] * bool(missing)
        out.append({"name": column.name, "as": kind, "note": "; ".join(notes)})
    return out
