"""Published files as they were downloaded, read, checked and written as one Parquet file.

`read` takes an official file or a table of one's own, `convert` writes it so that `ft.Table.open`
reads it at once.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foretell.errors import DataError
from foretell.spaces.base import Space
from foretell.tables import finding, own
from foretell.tables.base import ARCH, Benchmark, Peek, Progress
from foretell.tables.files import converted, plain
from foretell.tables.files.parquet import pyarrow
from foretell.tables.table import Table

METRIC = ("name", "unit", "values", "best", ARCH)  # of `Imported.metrics`, for people


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
    file = finding.path(spec)
    Peek(file)  # a clear word where there is none
    if (found := finding.benchmark(file, repeat, on_progress)) is not None:
        return found
    if file.is_file() and file.name.lower().endswith(plain.SUFFIXES):
        return own.read(file, space)
    raise DataError(
        f"{file.name!r} is no file of a known benchmark",
        expected="an official file of "
        + ", ".join(finding.names())
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
    file = Path(out) if out is not None else Path(_stem(finding.path(spec)) + ".parquet")
    if file.suffix.lower() != ".parquet":
        raise DataError(f"cannot write {file.name!r}", expected="a name that ends in .parquet")
    if file.exists() and file.resolve() == finding.path(spec).resolve():
        raise DataError(f"{file.name!r} would replace its source", hint="say another --out")
    pyarrow()
    benchmark = read(spec, space=space, repeat=repeat, on_progress=on_progress)
    found = Table.of(benchmark, space)
    columns = {name: found.values(name) for name in found.columns}
    converted.write(file, benchmark, found.space, found.X, columns, found.curves)
    return Imported(file, benchmark, found)


def _stem(file: Path) -> str:
    name = file.name
    while "." in name.strip(".") and Path(name).suffix:
        name = Path(name).stem
    return name
