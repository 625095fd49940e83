"""The converted form of a benchmark: one Parquet file with a small JSON header.

Columns: `arch`, the string of each architecture, for other programs; `row`, its decisions in
canonical form as 16-bit integers; `key`, `space.row_key` of it; the measurements; `<name>_curve`,
lists of a value an epoch. The header is the metadata `foretell` of the file: space, units, source.
Opening reads rows and keys alone, measurements when they are asked for.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.benchmarks.base import Benchmark
from foretell.errors import DataError, need
from foretell.evaluators.table import ARCH, Table
from foretell.spaces.base import Rows, Space

_HEADER, FORMAT = b"foretell", 1
_ROW = np.dtype("<i2")  # of the decisions in the file
CURVE = "_curve"
_NUMERIC = {"double": "<f8", "uint64": "<u8"}  # what is written, by Arrow's names
_PROBES = 1_000  # rows whose keys are compared with those of the file


def pyarrow() -> tuple[Any, Any]:
    """The modules `pyarrow` and `pyarrow.parquet`."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise need("pyarrow", "bench", "a converted table") from None
    return pyarrow, pyarrow.parquet


def write(benchmark: Benchmark, table: Table, file: Path) -> None:
    """Write a benchmark, whose measurements are those of `table`; complete or not at all."""
    pa, pq = pyarrow()
    space = table.space
    columns: dict[str, Any] = {
        ARCH: pa.array(space.to_str(table.X)),
        "row": pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(space.d * _ROW.itemsize),
            len(table),
            [None, pa.py_buffer(np.ascontiguousarray(table.X, dtype=_ROW).tobytes())],
        ),
        "key": pa.array(space.row_key(table.X)),
    }
    for name in table.columns:
        values = table.values(name)
        columns[name] = pa.array(values)
    for name, curve in curves_of(benchmark, table).items():
        ends = np.arange(len(curve) + 1, dtype=np.int32) * curve.shape[1]
        columns[name + CURVE] = pa.ListArray.from_arrays(ends, pa.array(curve.ravel()))
    header = {
        "format": FORMAT,
        "benchmark": benchmark.name,
        "space": space.name,
        "settings": space.settings,
        "source": benchmark.source,
        "repeats": benchmark.repeats,
        "columns": {n: {"unit": c.unit, "better": c.better} for n, c in benchmark.columns.items()},
        "notes": list(benchmark.notes),
    }
    out = pa.table(columns).replace_schema_metadata(
        {_HEADER: json.dumps(header, default=str).encode()}
    )
    part = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        pq.write_table(out, part, compression="zstd")
        os.replace(part, file)
    except OSError as error:
        raise DataError(
            f"cannot write {str(file)!r}", got=error.strerror or error, hint="check the folder"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def curves_of(benchmark: Benchmark, table: Table) -> dict[str, NDArray[np.float32]]:
    """The curves of each row of `table`: those of its first record."""
    if not benchmark.curves:
        return {}
    keys = table.space.row_key(table.space.canonical_form(benchmark.X))
    _, first = np.unique(keys, return_index=True)
    rows = np.sort(first)  # the order of `table.X`
    return {name: curve[rows].astype(np.float32) for name, curve in benchmark.curves.items()}


def header(file: Path) -> dict[str, Any] | None:
    """The header of a converted table, or None for any other file.

    Raises: DataError where the header is of a newer format, or torn.
    """
    pa, pq = pyarrow()
    try:
        text = (pq.read_schema(file).metadata or {}).get(_HEADER)
    except (pa.ArrowException, OSError):
        return None
    if text is None:
        return None
    try:
        found: dict[str, Any] = json.loads(text)
        known = found["format"] <= FORMAT and isinstance(found["settings"], dict)
    except (ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise DataError(
            f"table {file.name!r} has a header of another version", hint="import it again"
        )
    return found


def open_table(file: Path, head: Mapping[str, Any], space: Space | None) -> Table:
    """The table in a converted file with the header `head`.

    Raises: DataError where it belongs to another space, or was written by another version.
    """
    if space is None:
        from foretell.spaces.load import load

        space = load(head["space"], **head["settings"])
    elif space.name != head["space"]:
        raise DataError(
            f"table {file.name!r} is of space {head['space']!r}", got=f"space {space.name!r}"
        )
    columns = Columns(file)
    X: Rows = columns.rows().astype(space._dtype)
    keys = columns.array("key").astype(np.uint64, copy=False)
    probe = np.random.default_rng(0).integers(0, max(len(X), 1), min(_PROBES, len(X)))
    sound = X.ndim == 2 and X.shape[1] == space.d and bool(space.contains(X[probe]).all())
    if not sound or not np.array_equal(space.row_key(X[probe]), keys[probe]):
        raise DataError(
            f"table {file.name!r} was written by another version of space {space.name!r}",
            hint="import the original file again",
        )
    return Table.of_known(space, X, keys, columns, source=file.name)


class Columns(Mapping[str, NDArray[Any]]):
    """The measurements of a converted table, each read when it is first asked for."""

    def __init__(self, file: Path) -> None:
        _, pq = pyarrow()
        self._file = file
        self._names = [
            name
            for name in pq.read_schema(file).names
            if name not in (ARCH, "row", "key") and not name.endswith(CURVE)
        ]
        self._known: dict[str, NDArray[Any]] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._known:
            values = self.array(name)
            numeric = values.dtype.kind in "biuf"
            self._known[name] = values.astype(np.float64 if numeric else object)
        return self._known[name]

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, NDArray[Any]]]]:
        return dict, (dict(self),)  # another process may not have the file

    def array(self, name: str) -> NDArray[Any]:
        """A column as an array, NaN or "" where missing."""
        column = self._read(name)
        numeric = _NUMERIC.get(str(column.type))
        return _plain(column, numeric) if numeric else np.array(column.to_pylist(), dtype=object)

    def rows(self) -> NDArray[np.int16]:
        """The decisions, (n, d)."""
        column = self._read("row")
        width = column.type.byte_width // _ROW.itemsize
        packed = np.frombuffer(column.buffers()[1], _ROW).reshape(-1, width)
        return packed[column.offset : column.offset + len(column)]

    def lists(self, name: str) -> NDArray[Any]:
        """A column of lists of equal length, (n, length)."""
        column = self._read(name)
        return _plain(column.flatten(), "f4").reshape(len(column), -1)

    def _read(self, name: str) -> Any:
        pa, pq = pyarrow()
        try:
            with pq.ParquetFile(self._file) as file:
                return file.read(columns=[name], use_threads=False)[name].combine_chunks()
        except (pa.ArrowException, OSError, KeyError) as error:
            raise DataError(
                f"cannot read column {name!r} of {self._file.name}",
                got=" ".join(str(error).split())[:120],
                hint="import the original file again",
            ) from error


def _plain(column: Any, dtype: str) -> NDArray[Any]:
    """The numbers of an Arrow array; its own conversion would import pandas, which takes longer."""
    return np.frombuffer(column.buffers()[1], dtype)[column.offset : column.offset + len(column)]


def curve(file: Path, name: str) -> NDArray[np.float64]:
    """The curves `name` of a converted table, (n, epochs), in the order of its rows.

    Raises: DataError where it has none of that name.
    """
    _, pq = pyarrow()
    known = [n.removesuffix(CURVE) for n in pq.read_schema(file).names if n.endswith(CURVE)]
    if name not in known:
        raise DataError(
            f"no curve {name!r} in {file.name}", expected=_any_of(known), hint="choose another"
        )
    return Columns(file).lists(name + CURVE).astype(np.float64)


def _any_of(names: Sequence[str]) -> str:
    return "one of " + ", ".join(names) if names else "a table with curves"
