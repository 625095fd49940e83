"""The converted form of a benchmark: one Parquet file with a small JSON header.

Columns: `arch`, the string of each architecture, for other programs; `row`, its decisions in
canonical form as 16-bit integers; `key`, `space.row_key` of it; the measurements; `<name>_curve`,
lists of a value an epoch. The header is the metadata `foretell` of the file: space, units, source.
Opening reads rows and keys alone, measurements when they are asked for.
"""

from __future__ import annotations

import json
import os
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell import typed
from foretell._files import regular
from foretell.errors import DataError
from foretell.spaces.base import Rows, Space
from foretell.spaces.parts.load import named
from foretell.tables.base import ARCH, Benchmark
from foretell.tables.files.parquet import pyarrow

_HEADER, FORMAT = b"foretell", 1
_ROW = np.dtype("<i2")  # of the decisions in the file
CURVE = "_curve"
_NUMERIC = {"double": "<f8", "uint64": "<u8"}  # what is written, by Arrow's names
_PROBES = 1_000  # rows whose keys are compared with those of the file


def write(
    file: Path,
    benchmark: Benchmark,
    space: Space,
    X: Rows,
    columns: Mapping[str, NDArray[Any]],
    curves: Mapping[str, NDArray[np.floating[Any]]],
) -> None:
    """Write different rows in canonical form; complete or not at all.

    Args:
        file: to write.
        benchmark: of which they are: its name, source, units and notes.
        space: of the rows.
        X: architectures, (n, d).
        columns: name -> n values.
        curves: name -> (n, e).
    """
    pa, pq = pyarrow()
    written: dict[str, Any] = {
        ARCH: pa.array(space.to_str(X)),
        "row": pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(space.d * _ROW.itemsize),
            len(X),
            [None, pa.py_buffer(np.ascontiguousarray(X, dtype=_ROW).tobytes())],
        ),
        "key": pa.array(space.row_key(X)),
    }
    written |= {name: pa.array(values) for name, values in columns.items()}
    for name, curve in curves.items():
        ends = np.arange(len(curve) + 1, dtype=np.int32) * curve.shape[1]
        flat = pa.array(curve.astype(np.float32).ravel())
        written[name + CURVE] = pa.ListArray.from_arrays(ends, flat)
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
    out = pa.table(written).replace_schema_metadata(
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


def header(file: Path) -> dict[str, Any] | None:
    """The header of a converted table, or None for any other file.

    Raises: DataError where the header is of a newer format, or torn.
    """
    pa, pq = pyarrow()
    try:
        text = (pq.read_schema(regular(file)).metadata or {}).get(_HEADER)
    except (pa.ArrowException, OSError):
        return None
    if text is None:
        return None
    try:
        found: dict[str, Any] = typed.load(text.decode())
        known = found["format"] <= FORMAT and isinstance(found["settings"], dict)
    except (ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise DataError(
            f"table {file.name!r} has a header of another version", hint="import it again"
        )
    return found


def read(
    file: Path, head: Mapping[str, Any], space: Space | None
) -> tuple[Space, Rows, NDArray[np.uint64], Columns, Curves]:
    """Space, rows, keys, columns and curves of a converted file with the header `head`.

    Raises: DataError where it belongs to another space, or was written by another version.
    """
    if space is None:
        space = named(head["space"], **head["settings"])
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
    return space, X, keys, columns, Curves(file)


class _Lazy(Mapping[str, NDArray[Any]]):
    """Columns of a converted table, each read when it is first asked for."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._names = self._mine(pyarrow()[1].read_schema(file).names)
        self._known: dict[str, NDArray[Any]] = {}

    @abstractmethod
    def _mine(self, names: list[str]) -> list[str]:
        """Names of the entries, of those of the file's columns."""

    @abstractmethod
    def _values(self, name: str) -> NDArray[Any]:
        """Read an entry."""

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names  # Mapping would read it

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._known:
            self._known[name] = self._values(name)
        return self._known[name]

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, NDArray[Any]]]]:
        return dict, (dict(self),)  # another process may not have the file

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


class Columns(_Lazy):
    """The measurements of a converted table: n numbers, or texts."""

    def _mine(self, names: list[str]) -> list[str]:
        return [n for n in names if n not in (ARCH, "row", "key") and not n.endswith(CURVE)]

    def _values(self, name: str) -> NDArray[Any]:
        values = self.array(name)
        return values.astype(np.float64 if values.dtype.kind in "biuf" else object)

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


class Curves(_Lazy):
    """The learning curves of a converted table, (n, e) each."""

    def _mine(self, names: list[str]) -> list[str]:
        return [name.removesuffix(CURVE) for name in names if name.endswith(CURVE)]

    def _values(self, name: str) -> NDArray[np.float64]:
        column = self._read(name + CURVE)
        return _plain(column.flatten(), "f4").reshape(len(column), -1).astype(np.float64)


def _plain(column: Any, dtype: str) -> NDArray[Any]:
    """The numbers of an Arrow array; its own conversion would import pandas, which takes longer."""
    return np.frombuffer(column.buffers()[1], dtype)[column.offset : column.offset + len(column)]
