"""NAS-Bench-Graph: the tables of the package `nas-bench-graph`, or its full files."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from foretell.errors import DataError
from foretell.spaces.base import Rows
from foretell.spaces.nb_graph import OPS, NBGraph, V
from foretell.tables.base import Benchmark, Better, Column, Peek, Reader
from foretell.tables.readers.parts import unpickle

_COLUMNS: dict[str, tuple[str, str, Better]] = {
    "valid_perf": ("val_perf", "fraction", "max"),
    "perf": ("test_perf", "fraction", "max"),
    "latency": ("latency_s", "s", "min"),
    "para": ("params_m", "million parameters", ""),
}


class NBGraphFiles(Reader):
    """`<data set>.bench`: validation and test performance, latency and parameters.

    Only the data files of the package are read, by a reader of plain values; none of its code.

    References: Qin et al., NAS-Bench-Graph, NeurIPS 2022.
    """

    name = "nb-graph"

    def matches(self, peek: Peek) -> bool:
        """A pickle that names its measurements."""
        return peek.head[:1] == b"\x80" and b"valid_perf" in peek.head

    def read(self, path: Path, repeat: int | None) -> Benchmark:
        """Rows by their published hash."""
        found = unpickle.load(path)
        keys = np.array([int(key) for key in found], dtype=np.int64)
        X = rows_of(keys)
        columns = {
            new: Column(np.array([float(one[old]) for one in found.values()]), unit, better)
            for old, (new, unit, better) in _COLUMNS.items()
        }
        used = [op for k, op in enumerate(OPS) if (X[:, 1:] == k).any()]
        notes = (f"only the operations {', '.join(used)}",) if len(used) < len(OPS) else ()
        return Benchmark(self.name, "nb-graph", X, columns, path.name, "as published", notes=notes)

    def installed(self) -> dict[str, Path]:
        """The tables of the package, where it is installed."""
        spec = importlib.util.find_spec("nas_bench_graph")
        if spec is None or spec.origin is None:
            return {}
        folder = Path(spec.origin).parent / "light"
        return {file.stem: file for file in sorted(folder.glob("*.bench"))}


def rows_of(hashes: NDArray[np.int64]) -> Rows:
    """Rows of published hashes, decimal: links first, then the operation of each node.

    Raises: DataError where one is no member of the table.

    >>> rows_of(np.array([61237])).tolist()
    [[6, 1, 2, 3, 7]]
    """
    rows = hashes[:, None] // 10 ** np.arange(V, -1, -1)
    rows[:, 1:] %= 10
    space = NBGraph()
    if not space.contains(rows).all() or not np.array_equal(space.canonical_form(rows), rows):
        raise DataError("a hash that is not that of a published representative")
    return space.check(rows)
