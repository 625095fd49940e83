"""Which reader a file needs: benchmarks that are installed, or recognised by their content."""

from __future__ import annotations

import os
import pickle
import struct
import zipfile
import zlib
from importlib.util import find_spec
from pathlib import Path

from foretell import _catalog
from foretell.errors import DataError, ForetellError, unknown_name
from foretell.tables.base import Benchmark, Peek, Progress, Reader

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
    rows = _catalog.KINDS["benchmark"]
    return [row.load()() for row in rows if all(find_spec(name) for name in row.packages)]


def installed() -> dict[str, Path]:
    """Benchmarks that come with an installed package: "name:data set", or the name, -> file.

    >>> "nb-graph:cora" in installed()
    True
    """
    return {
        f"{reader.name}:{data}" if data else reader.name: file
        for reader in _readers()
        for data, file in reader.installed().items()
    }


def path(spec: str | os.PathLike[str]) -> Path:
    """The file of an installed benchmark by its name; any other path as it is.

    Raises:
        UnknownNameError: no installed package has such a data set.
        DataError: what is there is neither a file nor a folder: to open a pipe would never end.
    """
    name, colon, _ = str(spec).partition(":")
    own, files = Path(spec), installed() if name in names() else {}
    if own.exists() and not (own.is_file() or own.is_dir()):
        raise DataError(f"table {own.name!r}", expected="a file", got="a pipe or device")
    if name not in names() or own.exists() or (not colon and name not in files):
        return own
    if str(spec) not in files:
        _catalog.row("benchmark", name).load()  # says which package is not there
        raise unknown_name("benchmark", spec, files)
    return files[str(spec)]


def benchmark(
    file: Path, repeat: int | None = None, on_progress: Progress = None
) -> Benchmark | None:
    """What an official file holds; None for any other one.

    Args:
        file: or folder of result files.
        repeat: which of several trainings of one architecture, from 0 on; None for their mean.
        on_progress: called now and then with the share of a large file that is read.

    Raises: DataError in one line for a file that is torn.
    """
    if not file.exists():
        return None
    peek = Peek(file)
    reader = next((reader for reader in _readers() if reader.matches(peek)), None)
    if reader is None:
        return None
    reader.on_progress = on_progress
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
