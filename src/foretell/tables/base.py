"""What a published benchmark is once it is read, and what reads one."""

from __future__ import annotations

import bz2
import gzip
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from foretell import typed
from foretell._files import expanded
from foretell.errors import DataError
from foretell.spaces.base import Rows, Space

ARCH = "arch"  # the column of architecture strings
INDEX = "index"  # what stands for them where a space's rows are numbered
HEAD = 2**16  # bytes by which a file is recognised
ZIP = b"PK\x03\x04"
Progress = Callable[[float], None] | None  # called with the share that is done
Better = Literal["max", "min", ""]


@dataclass(frozen=True)
class Column:
    """One measurement of every architecture: values (n,), numbers or texts.

    Args:
        values: NaN or "" where missing.
        unit: "percent", "fraction", "s", "nats", ...
        better: whether large or small values are good, "" for neither.
    """

    values: NDArray[Any]
    unit: str = ""
    better: Better = ""


@dataclass(frozen=True)
class Benchmark:
    """Architectures of one space and what is known of them.

    Args:
        name: catalog name of the benchmark, or "own".
        space: catalog name of the space.
        X: its rows, (n, d).
        columns: name -> measurements of each row; equal rows are repeats.
        source: name of the file.
        repeats: what became of several trainings of one architecture, in words.
        curves: name -> a value an epoch, (n, epochs), NaN after the last one.
        notes: what else a user should know, a sentence each.
        settings: of the space, where they are not its defaults.
    """

    name: str
    space: str
    X: Rows
    columns: Mapping[str, Column]
    source: str
    repeats: str = "one training each"
    curves: Mapping[str, NDArray[np.floating[Any]]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


class Peek:
    """A file or folder, and how it begins."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            raise DataError(f"no file {str(path)!r}", hint="check the path")
        self.folder = path.is_dir()

    @cached_property
    def raw(self) -> bytes:
        """The first bytes as they are."""
        if self.folder or (self.path.exists() and not self.path.is_file()):  # a pipe never ends
            return b""
        with self.path.open("rb") as file:
            return file.read(HEAD)

    @cached_property
    def head(self) -> bytes:
        """The first bytes, out of gzip or bzip2; of a folder or .zip those of one .json in it."""
        opener = opener_of(self.raw)
        try:
            if self.folder or self.raw[:4] == ZIP:
                return next((text[:HEAD] for _, text in json_files(self.path)), self.raw)
            if opener is None:
                return self.raw
            with opener(self.path, "rb") as file:
                found: bytes = file.read(HEAD)
                return found
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile):
            return self.raw


def json_files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of all .json files in a folder or .zip, or of the one file itself."""
    if path.is_dir():
        for file in sorted(path.rglob("*.json")):
            yield str(file.relative_to(path)), file.read_bytes()
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as packed:
            for name in sorted(packed.namelist()):
                if name.endswith(".json"):
                    yield f"{path.name}/{name}", packed.read(name)
    else:
        yield path.name, unpacked(path)


def json_records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects in .json files (one each, or a list) or in lines; each with where it stands.

    Raises: DataError naming the place that is no JSON.
    """
    for name, content in json_files(path):
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"{name} is not UTF-8", got=error.reason) from error
        lines = text.splitlines() if text.lstrip()[:1] == "{" else []
        one = [(name, text)] if len(lines) < 2 or not _is_json(lines[0]) else [
            (f"{name}, line {k}", line) for k, line in enumerate(lines, start=1) if line.strip()
        ]  # fmt: skip
        for where, part in one:
            try:
                value = typed.load(part)
            except ValueError as error:
                raise DataError(
                    f"{where} is no JSON", got=error, hint="copy it again, it may be torn"
                ) from error
            for record in value if isinstance(value, list) else [value]:
                if not isinstance(record, dict):
                    raise DataError(where, expected="a result", got=type(record).__name__)
                yield where, record


def _is_json(text: str) -> bool:
    try:
        typed.load(text)
    except ValueError:
        return False
    return True


def opener_of(raw: bytes) -> Any:
    """`gzip.open` or `bz2.open` by the first bytes of a file, or None."""
    if raw[:2] == b"\x1f\x8b":
        return gzip.open
    return bz2.open if raw[:3] == b"BZh" else None


def unpacked(path: Path) -> bytes:
    """The whole content of a file, out of gzip or bzip2 where it is packed."""
    with path.open("rb") as file:
        opener = opener_of(file.read(3))
    if opener is None:
        return path.read_bytes()
    with opener(path, "rb") as file:
        return expanded(file, path.stat().st_size)


class Reader(ABC):
    """Reads the official files of one benchmark; whatever it raises becomes one clear line."""

    name: str
    on_progress: Progress = None

    def progressed(self, share: float) -> None:
        """Tell whoever listens that this share of the file is read."""
        if self.on_progress is not None:
            self.on_progress(share)

    @abstractmethod
    def matches(self, peek: Peek) -> bool:
        """Whether the file looks like one of this benchmark."""

    @abstractmethod
    def read(self, path: Path, repeat: int | None) -> Benchmark:
        """The benchmark in a file.

        Args:
            path: of the file, or of a folder of files.
            repeat: which training of each architecture, from 0 on; None for their mean.
        """

    def installed(self) -> dict[str, Path]:
        """Data sets that come with an installed package: name, "" for the only one, -> file."""
        return {}


def chosen(values: NDArray[Any], repeat: int | None) -> NDArray[Any]:
    """One of several trainings, or the mean of those that are there: (n, repeats, ...) to (n, ...).

    >>> chosen(np.array([[1.0, 3.0, np.nan]]), None), chosen(np.array([[1.0, 3.0]]), 1)
    (array([2.]), array([3.]))
    """
    if repeat is not None:
        if not 0 <= repeat < values.shape[1]:
            raise DataError(
                "repeat", expected=f"0 to {values.shape[1] - 1}", got=repeat, hint="lower it"
            )
        picked: NDArray[Any] = values[:, repeat]
        return picked
    there = ~np.isnan(values)
    count = there.sum(axis=1)
    total = np.where(there, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def spread(group: NDArray[np.integer[Any]], values: NDArray[Any], n: int) -> NDArray[Any]:
    """Values (m, k) of m trainings as (n, repeats, k), in their order; NaN where there is none.

    >>> spread(np.array([1, 0, 1]), np.array([[1.0], [2.0], [3.0]]), 2)[:, :, 0]
    array([[ 2., nan],
           [ 1.,  3.]])
    """
    order = np.argsort(group, kind="stable")
    count = np.bincount(group, minlength=n)
    start = np.cumsum(count) - count
    place = np.arange(len(group)) - np.repeat(start, count)
    out = np.full((n, int(count.max(initial=0)), values.shape[1]), np.nan)
    out[group[order], place] = values[order]
    return out


def grouped(space: Space, X: Rows) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First record of each different row, oldest first, and the group of every record.

    Shapes: (m, d) to (n,) and (m,).
    """
    _, first, group = np.unique(space.row_key(X), return_index=True, return_inverse=True)
    by_age = np.argsort(first, kind="stable")
    return first[by_age], np.argsort(by_age, kind="stable")[group]


def repeats_in_words(count: int, repeat: int | None) -> str:
    """What `chosen` did.

    >>> repeats_in_words(3, None), repeats_in_words(3, 0)
    ('mean of up to 3 trainings', 'training 0 of up to 3')
    """
    if count == 1:
        return "one training each"
    if repeat is None:
        return f"mean of up to {count} trainings"
    return f"training {repeat} of up to {count}"
