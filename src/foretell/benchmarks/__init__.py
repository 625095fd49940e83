"""Readers and converters of published tables.

`read` takes an official file as it was downloaded, `convert` writes it as one Parquet file that
`ft.Table.open` reads at once.
"""

from __future__ import annotations

import os
import pickle
import struct
import zipfile
import zlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from foretell import _catalog
from foretell.benchmarks import _store
from foretell.benchmarks.base import Benchmark, Peek, Progress, Reader
from foretell.errors import DataError, ForetellError, unknown_name
from foretell.evaluators.table import ARCH, Table
from foretell.spaces.base import Space

__all__ = ["Benchmark", "Imported", "convert", "curve", "installed", "names", "path", "read"]

METRIC = ("name", "unit", "values", "best", ARCH)  # of `Imported.metrics`, for people
_KINDS = (".csv", ".csv.gz", ".parquet")
_TORN = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, OSError, RuntimeError,
    RecursionError, MemoryError, OverflowError, struct.error, zlib.error, zipfile.BadZipFile,
    pickle.UnpicklingError,
)  # fmt: skip


def names() -> list[str]:
    """Names of the benchmarks in the catalog, sorted."""
    return _catalog.names("benchmark")


def _readers() -> list[Reader]:
    """Those whose packages are there: a user's table must open without the ones of a benchmark."""
    rows = _catalog.BENCHMARKS
    return [row.load()() for row in rows if all(find_spec(name) for name in row.packages)]


def installed() -> dict[str, Path]:
    """Benchmarks that come with an installed package: "name:data set" -> file.

    >>> "nb-graph:cora" in installed()
    True
    """
    return {
        f"{reader.name}:{data}": file
        for reader in _readers()
        for data, file in reader.installed().items()
    }


def path(spec: str | os.PathLike[str]) -> Path:
    """The file of an installed benchmark by its name; any other path as it is.

    Raises: UnknownNameError for a data set that no installed package has.
    """
    name, colon, _ = str(spec).partition(":")
    if not colon or name not in names() or Path(spec).exists():
        return Path(spec)
    files = installed()
    if str(spec) not in files:
        if not files:
            _catalog.row("benchmark", name).load()
        raise unknown_name("benchmark", spec, files)
    return files[str(spec)]


def table(spec: str | os.PathLike[str], space: Space | None = None) -> Table | None:
    """The table in a converted or official file, or None for any other one.

    Args:
        spec: a file, or the name of an installed benchmark.
        space: of its rows; None for the one that the file says.
    """
    file = path(spec)
    if not file.exists():
        return None
    if file.suffix.lower() == ".parquet":
        head = _store.header(file)
        return None if head is None else _store.open_table(file, head, space)
    reader = _recognise(file)
    return None if reader is None else _as_table(_read(reader, file, None), space)


def read(
    spec: str | os.PathLike[str],
    *,
    space: Space | None = None,
    repeat: int | None = None,
    on_progress: Progress = None,
) -> Benchmark:
    """An official file, an own table, or an installed benchmark, recognised by its content.

    Args:
        spec: file, folder of result files, or name such as "nb-graph:cora".
        space: of an own table whose strings several spaces could read.
        repeat: which of several trainings of one architecture, from 0 on; None for their mean.
        on_progress: called now and then with the share of a large file that is read.

    Raises: DataError in one line for a file that is torn, or no benchmark.
    """
    file = path(spec)
    reader = _recognise(file)
    if reader is not None:
        reader.on_progress = on_progress
        return _read(reader, file, repeat)
    if file.is_file() and file.name.lower().endswith(_KINDS):
        from foretell.benchmarks.own import read_own

        return read_own(file, space)
    raise DataError(
        f"{file.name!r} is no file of a known benchmark",
        expected="an official file of "
        + ", ".join(names())
        + f", or a table with an {ARCH!r} column",
        hint="see `foretell list benchmarks`",
    )


@dataclass(frozen=True)
class Imported:
    """What `convert` found and wrote.

    Args:
        file: the converted table.
        benchmark: as it was read.
        table: its rows, different ones, with the mean of repeats.
    """

    file: Path
    benchmark: Benchmark
    table: Table

    def lines(self) -> list[str]:
        """What was found, in words."""
        one, n = self.benchmark, len(self.table)
        kind = "table" if one.name == "own" else f"benchmark {one.name}"
        return [f"{one.source}: {kind}, {n:,} architectures of {one.space}, {one.repeats}",
                *(f"note: {note}" for note in one.notes)]  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """The same for machines."""
        one = self.benchmark
        return {
            "file": str(self.file), "benchmark": one.name, "space": one.space,
            "source": one.source, "architectures": len(self.table), "repeats": one.repeats,
            "notes": list(one.notes), "metrics": self.metrics(), "curves": list(one.curves),
        }  # fmt: skip

    def next_command(self, space: str | None = None) -> str:
        """What one does with the table, of a space as the user named it."""
        good = [name for name, c in self.benchmark.columns.items() if c.better == "max"]
        target = next((name for name in good if "val" in name), next(iter(good), "COLUMN"))
        return (
            f"foretell bench predictors --table {self.file} --space {space or self.benchmark.space}"
            f" --target {target}"
        )

    def metrics(self) -> list[dict[str, Any]]:
        """Of each measurement: name, unit, how many values, the best one and its architecture."""
        out = []
        for name, column in self.benchmark.columns.items():
            values = self.table.values(name)
            known = values.dtype != object
            row: dict[str, Any] = {"name": name, "unit": column.unit, "better": column.better}
            row["values"] = int(np.isfinite(values).sum()) if known else len(values)
            if column.better and row["values"]:
                at = int(np.nanargmax(values if column.better == "max" else -values))
                row["best"] = float(values[at])
                row[ARCH] = self.table.space.to_str(self.table.X[at : at + 1])[0]
            out.append(row)
        return out


def convert(
    spec: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    space: Space | None = None,
    repeat: int | None = None,
    on_progress: Progress = None,
) -> Imported:
    """Read a benchmark, check it, and write it as one Parquet file.

    Args:
        spec: as for `read`.
        out: the file to write; None for the name of the source with .parquet, in this folder.
        space: as for `read`.
        repeat: as for `read`.
        on_progress: as for `read`.

    Raises: DataError in one line; then nothing is written.
    """
    file = Path(out) if out is not None else Path(_stem(path(spec)) + ".parquet")
    if file.suffix.lower() != ".parquet":
        raise DataError(f"cannot write {file.name!r}", expected="a name that ends in .parquet")
    if file.exists() and file.resolve() == path(spec).resolve():
        raise DataError(f"{file.name!r} would replace its source", hint="say another --out")
    _store.pyarrow()
    benchmark = read(spec, space=space, repeat=repeat, on_progress=on_progress)
    found = _as_table(benchmark, space)
    _store.write(benchmark, found, file)
    return Imported(file, benchmark, found)


def curve(file: str | os.PathLike[str], name: str) -> Any:
    """Learning curves of a converted table, (n, epochs), in the order of `Table.open(file).X`."""
    return _store.curve(Path(file), name)


def _stem(file: Path) -> str:
    name = file.name
    while "." in name.strip(".") and Path(name).suffix:
        name = Path(name).stem
    return name


def _recognise(file: Path) -> Reader | None:
    peek = Peek(file)
    return next((reader for reader in _readers() if reader.matches(peek)), None)


def _read(reader: Reader, file: Path, repeat: int | None) -> Benchmark:
    try:
        found = reader.read(file, repeat)
    except ForetellError:
        raise
    except _TORN as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise DataError(
            f"{file.name!r} looks like {reader.name} and cannot be read",
            got=why,
            hint="copy it again from its official place",
        ) from error
    if not len(found.X):
        raise DataError(f"{file.name!r} looks like {reader.name} and has no results")
    return found


def _as_table(benchmark: Benchmark, space: Space | None) -> Table:
    if space is None:
        from foretell.spaces.load import load

        space = load(benchmark.space)
    elif space.name != benchmark.space:
        raise DataError(
            f"{benchmark.source!r} is of space {benchmark.space!r}", got=f"space {space.name!r}"
        )
    columns = {name: column.values for name, column in benchmark.columns.items()}
    return Table(space, benchmark.X, columns, source=benchmark.source)
