"""Labelled networks of several spaces, as numbers of their graphs: what a prior learns from.

Read from the tables in `FORETELL_DATA`; those that are not there are left out, and said. Numbers
are kept in a file beside the results, because the graphs take a minute.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import re
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

import foretell as ft
from foretell.graphs.computation import Canvas, Computations, Value, joined
from foretell.graphs.measures import NAMES, measures
from foretell.nets.drawings.nb301 import draw as draw_darts
from foretell.spaces.base import Choice, Space
from foretell.spaces.nb301 import CELLS, NB301, NODES, OPS
from foretell.transfer.parts.learning import Source

FOLDER = Path(
    os.environ.get("FORETELL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)
MEASURED = zlib.crc32(" ".join(NAMES).encode())  # which numbers are told
KEPT = 5_000  # most networks of a table, drawn at random with seed 0
Records = list[dict[str, str]]


class Known(NamedTuple):
    """A source, and its rows (n, d) of a space where it has one."""

    source: Source
    X: NDArray[Any] | None
    space: Space | None


def records(name: str) -> Records:
    """The lines of a table."""
    with gzip.open(FOLDER / name, "rt") as lines:
        return list(csv.DictReader(lines))


def some(lines: Records) -> Records:
    """At most `KEPT` of them."""
    if len(lines) <= KEPT:
        return lines
    return [lines[i] for i in np.random.default_rng(0).permutation(len(lines))[:KEPT]]


def nb101() -> tuple[Space, NDArray[Any], Records, str]:
    """NAS-Bench-101, one run of 108 epochs."""
    space = ft.spaces.get("nb101")
    lines = some(records("nb101_val_4_12_36_108.csv.gz"))
    X = [space.from_matrix(r["adjacency"], r["labels"]) for r in lines]  # type: ignore[attr-defined]
    return space, np.stack(X), lines, "val_108ep"


def nb201() -> tuple[Space, NDArray[Any], Records, str]:
    """NAS-Bench-201, 200 epochs on CIFAR-10."""
    space = ft.spaces.get("nb201")
    lines = some(records("nb201.csv.gz"))
    return space, space.from_str([r["arch"] for r in lines]), lines, "cifar10_test_200ep"


def tnb(task: str) -> Callable[[], tuple[Space, NDArray[Any], Records, str]]:
    """TransNAS-Bench-101, cells, one of its tasks."""

    def read() -> tuple[Space, NDArray[Any], Records, str]:
        space = ft.spaces.get("tnb-micro")
        lines = records("tnb101_micro.csv.gz")
        return space, space.from_str([r["arch"] for r in lines]), lines, f"val_{task}"

    return read


def ofa() -> tuple[Space, NDArray[Any], Records, str]:
    """Once-for-all MobileNetV3, rows that are spread over the space."""
    space = ft.spaces.get("ofa-mbv3")
    lines = [
        r
        for r in records("ofa_subnets.csv.gz")
        if r["supernet"] == "ofa_mbv3_w1.0" and not r["macs"]
    ]
    return space, space.from_str([ofa_text(r) for r in lines]), lines, "top1"


def ofa_text(record: dict[str, str]) -> str:
    """The published setting of a record."""
    lists = {name: [int(v) for v in record[name].split()] for name in ("ks", "e", "d")}
    return json.dumps({**lists, "image_size": int(record["resolution"])})


WITH_NONE = (*OPS, "none")


class Cells(NB301):
    """DARTS cells as OnceNAS-Bench draws them: 'none' too, and twice the same source.

    Columns are, for the normal, then the reduction cell, source and operation of each of the eight
    edges, as the genotype says them.
    """

    name = "darts-cells"
    ops = WITH_NONE
    _declared = tuple(
        Choice(options, f"{cell}_{word}_{node}_{k}")
        for cell in CELLS
        for node in NODES
        for k in (0, 1)
        for word, options in (("source", tuple(range(node))), ("op", WITH_NONE))
    )

    def cells(self, X: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Sources and operations of the two cells, (n, 2, 8) each."""
        parts = X.reshape(len(X), 2, 8, 2).astype(np.intp)
        return parts[..., 0], parts[..., 1]

    def _parse(self, text: object) -> list[int]:
        words = [word.split("~") for word in re.findall(r"\w+~\d", str(text))]
        return [n for op, source in words for n in (int(source), self.ops.index(op))]

    def computations(self, X: ArrayLike) -> Computations:
        """The graphs, 'none' as zeros."""
        sources, ops = self.cells(self.check(X))
        found = []
        for row in zip(sources.tolist(), ops.tolist(), strict=True):
            terms = [
                [(i, self.ops[op]) for i, op in zip(s, o, strict=True)]
                for s, o in zip(*row, strict=True)
            ]
            found.append(_with_none(terms))
        return joined(found)


def darts() -> tuple[Space, NDArray[Any], Records, str]:
    """DARTS cells, 50 epochs."""
    space = Cells(channels=36, n_cells=20)
    lines = records("darts_oncenas545.csv.gz")
    return space, space.from_str([r["genotype"] for r in lines]), lines, "valid_acc50"


def _with_none(cells: list[list[tuple[int, str]]]) -> Computations:
    from foretell.nets.drawings import ops

    known = ops.OPS
    none: Callable[[Canvas, Value, int, int], Value] = lambda canvas, x, c, stride: canvas.zero(  # noqa: E731
        x._replace(height=-(-x.height // stride), width=-(-x.width // stride))
    )
    known["none"] = none
    try:
        return draw_darts(cells, (3, 32, 32), 10, 36, 20, (6, 13))
    finally:
        del known["none"]


def naap() -> Iterator[tuple[Computations, float]]:
    """NAAP-440: small chains of convolutions on CIFAR-10."""
    for r in records("lc_naap440_cifar10.csv.gz"):
        canvas = Canvas(3, 32, 32)
        x = canvas.input
        for k, w, s, around in re.findall(r"k(\d)w(\d+)s(\d)(r?)", r["scheme"]):
            y = canvas.relu(canvas.norm(canvas.conv(x, int(w), int(k), int(s))))
            x = canvas.add(x, y) if around else y
        graph = canvas.done(canvas.linear(canvas.mean(x), 10))
        assert int(graph.params.sum()) == int(r["NumParams"])
        yield graph, float(r["e90Accuracy"])


def metaqnn() -> Iterator[tuple[Computations, float]]:
    """Random chains of convolutions, poolings and dense layers on SVHN (MetaQNN)."""
    for r in records("lc_metaqnn_svhn.csv.gz"):
        canvas = Canvas(3, 32, 32)
        x = canvas.input
        for word, numbers in re.findall(r"([A-Z]+)\(([\d,]+)\)", r["net"]):
            a, *rest = (int(v) for v in numbers.split(","))
            if word == "C":
                x = canvas.relu(canvas.conv(x, a, min(rest[0], 31), rest[1]))
            elif word == "P":
                x = canvas.pool(x, "max-pool", min(a, x.height), rest[0])
            elif word == "FC":
                flat = x._replace(channels=x.channels * x.height * x.width, height=1, width=1)
                x = canvas.relu(canvas.linear(flat, a))
            elif word == "GAP":
                x = canvas.mean(x)
        flat = x._replace(channels=x.channels * x.height * x.width, height=1, width=1)
        yield canvas.done(canvas.linear(flat, 10)), float(r["acc_20"])


ROWS: dict[str, Callable[[], tuple[Space, NDArray[Any], Records, str]]] = {
    "nb101": nb101,
    "nb201": nb201,
    "tnb-scene": tnb("class_scene"),
    "tnb-normal": tnb("normal"),
    "ofa": ofa,
    "darts": darts,
}
LEFT_OUT = {"naap": naap, "metaqnn": metaqnn}  # with them held-out spaces were foretold worse
LICENCES = {
    "nb101": "NAS-Bench-101 (Apache-2.0), 108 epochs, CIFAR-10",
    "nb201": "NAS-Bench-201 (MIT), 200 epochs, CIFAR-10",
    "tnb-scene": "TransNAS-Bench-101 (MIT), cells, scene classification",
    "tnb-normal": "TransNAS-Bench-101 (MIT), cells, surface normals",
    "ofa": "once-for-all MobileNetV3, inherited weights, ImageNet (no licence is stated)",
    "darts": "OnceNAS-Bench, DARTS cells, 50 epochs, CIFAR-10 (no licence is stated)",
}


def load(names: tuple[str, ...] = tuple(ROWS)) -> dict[str, Known]:
    """The sources that are there."""
    found = {}
    for name in names:
        try:
            found[name] = _one(name)
        except FileNotFoundError as error:
            print(f"left out {name}: no {error.filename}", file=sys.stderr)
    return found


def _one(name: str) -> Known:
    cache = Path(tempfile.gettempdir()) / f"foretell-source-{name}-{MEASURED:08x}.npz"
    if not cache.exists():
        if name in ROWS:
            space, X, lines, column = ROWS[name]()
            y = np.array([float(r[column]) for r in lines])
            blocks = [X[i : i + 1000] for i in range(0, len(X), 1000)]
            numbers = np.concatenate([measures(space.computations(block)) for block in blocks])
            np.savez(cache, numbers=numbers, y=y, X=X)
        else:
            pairs = list(LEFT_OUT[name]())
            numbers = measures(joined([graph for graph, _ in pairs]))
            np.savez(cache, numbers=numbers, y=np.array([value for _, value in pairs]))
    with np.load(cache) as kept:
        X = kept.get("X", None)
        own = space_of(name) if name in ROWS else None
        return Known(Source(name, kept["numbers"], kept["y"]), X, own)


def space_of(name: str) -> Space:
    if name == "darts":
        return Cells(channels=36, n_cells=20)
    names = {"ofa": "ofa-mbv3", "tnb-scene": "tnb-micro", "tnb-normal": "tnb-micro"}
    return ft.spaces.get(names.get(name, name))


def family(name: str) -> str:
    """The space of a source: held out together."""
    return name.partition("-")[0]
