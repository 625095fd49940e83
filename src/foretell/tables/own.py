"""A user's own table: a .csv, .csv.gz or .parquet file with an `arch` column."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell import _catalog
from foretell.errors import DataError, SpaceError
from foretell.spaces.base import Space
from foretell.spaces.parts.load import load
from foretell.tables.base import ARCH, Benchmark, Better, Column
from foretell.tables.files import plain
from foretell.tables.table import Table

_SMALL = re.compile(r"loss|err|latency|perplexity|ppl|energy|time|(^|_)(s|ms)$|_s_")
_NEITHER = re.compile(r"param|flop|index|(^|_)id$|seed|epoch")
_SCORE = re.compile(r"acc|val|valid|test|train|perf")


def read(file: Path, space: Space | None) -> Benchmark:
    """The table, with units guessed from names and values.

    Args:
        file: the table.
        space: of its rows; None for the only one of the catalog that reads its first string.

    Raises: DataError naming the line and what is wrong there.
    """
    if space is None:
        space = _space_of(file)
    table = Table.open(file, space=space)
    columns = {name: column(name, table.values(name)) for name in table.columns}
    most = int(table.repeats.max())
    words = "one record each" if most == 1 else f"mean of up to {most} records"
    return Benchmark("own", space.name, table.X, columns, file.name, words, table.curves)


def _space_of(file: Path) -> Space:
    strings = plain.read(file, index=True)[0][ARCH]
    found: dict[type, Space] = {}
    for name in _catalog.names("space"):
        space = load(name)
        try:
            space.from_str(strings[:1].tolist())
        except SpaceError:
            continue
        found.setdefault(type(space), space)
    if len(found) != 1:
        text = str(strings[0])[:80] if len(strings) else "no rows"
        names = [space.name for space in found.values()]
        raise DataError(
            f"which space is table {file.name!r} of",
            expected="one of " + ", ".join(names) if names else None,
            got=repr(text),
            hint="say it: --space NAME, or --space file.py:Name",
        )
    return next(iter(found.values()))


def column(name: str, values: NDArray[Any]) -> Column:
    """A column with its unit and direction, guessed from its name and values."""
    if values.dtype == object or _NEITHER.search(name):
        return Column(values)
    better: Better = "min" if _SMALL.search(name) else "max"
    known = values[np.isfinite(values)]
    unit = ""
    if better == "max" and len(known) and _SCORE.search(name) and known.min() >= 0:
        unit = "fraction" if known.max() <= 1 else "percent" if known.max() <= 100 else ""
    return Column(values, unit, better)
