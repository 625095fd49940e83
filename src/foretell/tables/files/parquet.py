"""Tables as plain Parquet, of any other program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell._files import regular
from foretell.errors import DataError, need
from foretell.tables.base import ARCH


def pyarrow() -> tuple[Any, Any]:
    """The modules `pyarrow` and `pyarrow.parquet`."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise need("pyarrow", "bench", "a Parquet table") from None
    return pyarrow, pyarrow.parquet


def read(file: Path) -> dict[str, NDArray[Any]]:
    """Columns of a file: numbers where its type is one, else texts."""
    pa, pq = pyarrow()
    try:
        table = pq.read_table(regular(file))
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


def write(file: Path, archs: Sequence[str], columns: Mapping[str, NDArray[Any]]) -> None:
    """Write columns beside their architectures."""
    pa, pq = pyarrow()
    cells = {n: pa.array(values.tolist(), from_pandas=True) for n, values in columns.items()}
    pq.write_table(pa.table({ARCH: archs, **cells}), file)
