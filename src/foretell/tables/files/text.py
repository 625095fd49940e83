"""Tables as text: .csv and .csv.gz, UTF-8 with commas and a header."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell._files import expanded, regular
from foretell.errors import DataError
from foretell.tables.base import ARCH, INDEX

_MISSING = frozenset({"", "nan", "na", "n/a", "null", "none"})


def read(file: Path) -> tuple[dict[str, NDArray[Any]], list[int]]:
    """Columns of a file, and the line on which each record ends.

    Raises: DataError naming the line and what is wrong there.
    """
    records: list[list[str]] = []
    lines: list[int] = []
    header: list[str] = []
    line = 0
    try:
        raw = regular(file).read_bytes()
        if file.name.lower().endswith(".gz"):
            raw = expanded(gzip.GzipFile(fileobj=io.BytesIO(raw)), len(raw))
        reader = csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""), strict=True)
        for record in _records(reader):
            line = reader.line_num
            if not header:
                header = [name.strip() for name in record]
                if ARCH not in header and INDEX not in header:
                    raise no_arch(file.name, header)
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


def write(
    file: Path, archs: Sequence[str], columns: Mapping[str, NDArray[Any]], *, packed: bool
) -> None:
    """Write columns beside their architectures, packed by gzip or not."""
    opener = gzip.open if packed else open
    with opener(file, "wt", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([ARCH, *columns])
        cells = [
            ["" if isinstance(v, float) and v != v else v for v in values.tolist()]
            for values in columns.values()
        ]
        writer.writerows(zip(archs, *cells, strict=True))


def is_number(text: str) -> bool:
    """Whether a field is a number, or a missing one."""
    try:
        float(text)
    except ValueError:
        return text.strip().lower() in _MISSING
    return True


def no_arch(name: str, found: list[str]) -> DataError:
    """What is wrong with a file of these columns, none of them of architectures."""
    shown = ", ".join(found)[:120]
    alone = len(found) == 1 and any(mark in found[0] for mark in ";\t")
    return DataError(
        f"table {name!r} has no {ARCH!r} column, line 1",
        expected=f"a header with {ARCH!r}",
        got=repr(shown),
        hint="separate the fields by commas" if alone else f"name the architectures {ARCH!r}",
    )


def _numbers_or_text(texts: list[str]) -> NDArray[Any]:
    """A float64 column when all fields are numbers or missing, else the strings."""
    try:
        return np.array(
            [float("nan") if text.strip().lower() in _MISSING else float(text) for text in texts]
        )
    except ValueError:
        return np.array(texts, dtype=object)


def _records(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    return (record for record in reader if record)  # a blank line is no record
