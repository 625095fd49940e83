"""What holds a table of one's own, by the name of the file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.errors import DataError
from foretell.tables.base import ARCH, INDEX
from foretell.tables.files import parquet, text

SUFFIXES = (".csv", ".csv.gz", ".parquet")
_WORDS = ".csv, .csv.gz or .parquet"


def read(file: Path, index: bool = False) -> tuple[dict[str, NDArray[Any]], list[int] | None]:
    """Columns of a .csv, .csv.gz or .parquet file, and the line of each record of the former.

    Args:
        file: to read.
        index: whether a column `index` may stand for `arch` where there is none.

    Raises: DataError where it cannot be read, or has no column `arch`.
    """
    name = file.name.lower()
    if not file.is_file():
        raise DataError(
            f"no table {str(file)!r}",
            expected=f"a {_WORDS} file",
            got="a folder" if file.is_dir() else "no such file",
            hint="check the path",
        )
    columns: dict[str, NDArray[Any]]
    lines: list[int] | None = None
    if name.endswith((".csv", ".csv.gz")):
        columns, lines = text.read(file)
    elif name.endswith(".parquet"):
        columns = parquet.read(file)
    else:
        raise DataError(
            f"table {file.name!r}", expected=f"a {_WORDS} file", hint="rename or convert it"
        )
    if ARCH not in columns and index and INDEX in columns:
        numbers = [str(v).removesuffix(".0") for v in columns[INDEX].tolist()]
        columns[ARCH] = np.array(numbers, dtype=object)
    if ARCH not in columns:
        raise text.no_arch(file.name, list(columns))
    return columns, lines


def write(file: Path, archs: Sequence[str], columns: Mapping[str, NDArray[Any]]) -> None:
    """Write columns as the name of the file says; it appears complete or not at all.

    Raises: DataError where it cannot be written.
    """
    name = file.name.lower()
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    if not name.endswith(SUFFIXES):
        raise DataError(f"cannot write {file.name!r}", expected=f"a name in {_WORDS}")
    try:
        if name.endswith(".parquet"):
            parquet.write(temporary, archs, columns)
        else:
            text.write(temporary, archs, columns, packed=name.endswith(".gz"))
        os.replace(temporary, file)
    except OSError as error:
        raise DataError(f"cannot write {str(file)!r}", got=error, hint="check folder") from error
    finally:
        temporary.unlink(missing_ok=True)
