"""NAS-Bench-101: the official record files, and tables of the same graphs."""

from __future__ import annotations

import base64
import csv
import io
import json
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.errors import DataError
from foretell.spaces.base import Rows
from foretell.spaces.nb101 import NB101, OPS
from foretell.spaces.parts import dag
from foretell.tables import own
from foretell.tables.base import (
    Benchmark,
    Better,
    Column,
    Peek,
    Reader,
    chosen,
    repeats_in_words,
    spread,
    unpacked,
)
from foretell.tables.readers.parts import tfrecord

EPOCHS = (4, 12, 36, 108)
_MEASURED = ("train_s", "train_acc", "val_acc", "test_acc")  # fields 2 to 5 of EvaluationData
_EVALUATION = struct.Struct("<BdBdBdBdBd")
_TAGS = (9, 17, 25, 33, 41)  # fields 1 to 5, all doubles
_HASHED = 256  # graphs whose published hash is computed again
_TABLE = b"hash,vertices,adjacency,labels"  # how the header of a table of these graphs begins


class NB101Files(Reader):
    """`nasbench_only108.tfrecord`, `nasbench_full.tfrecord`, or a .csv with adjacency and labels.

    Measurements of budget e are `val_acc_108ep` and so on, those in the middle of the training
    `val_acc_108ep_half`; accuracies are fractions, `train_s` seconds.

    References: Ying et al., NAS-Bench-101, ICML 2019.
    """

    name = "nb101"

    def matches(self, peek: Peek) -> bool:
        """A file of records, or the header of a table."""
        named = not peek.folder and peek.path.suffix == ".tfrecord"
        return named or peek.head.startswith(_TABLE) or tfrecord.starts_like_one(peek.raw)

    def read(self, path: Path, repeat: int | None) -> Benchmark:
        """Whole file, checksums compared."""
        if Peek(path).head.startswith(_TABLE):
            return _read_table(path, repeat)
        return _read_records(path, repeat, self.progressed)


def _read_records(path: Path, repeat: int | None, progressed: Callable[[float], None]) -> Benchmark:
    graphs: dict[str, int] = {}
    shapes: list[str] = []
    ops: list[str] = []
    params: list[int] = []
    which: list[NDArray[np.int64]] = []
    values: list[NDArray[np.float64]] = []
    done, read, size_of_file = 0, 0, path.stat().st_size
    for block in tfrecord.records(path):
        pairs = np.empty((len(block), 2), dtype=np.int64)
        measured = np.empty((len(block), 8))
        for i, record in enumerate(block):
            try:
                key, epochs, matrix, labels, packed = json.loads(record)
                size, final, half = _metrics(base64.b64decode(packed))
                at = graphs.setdefault(key, len(shapes))
                if at == len(shapes):
                    shapes.append(matrix)
                    ops.append(labels)
                    params.append(size)
                pairs[i] = at, epochs
                measured[i, :4], measured[i, 4:] = final, half
            except (ValueError, TypeError, struct.error, IndexError) as error:
                raise DataError(
                    f"{path.name}, record {done + i}",
                    expected="[hash, epochs, adjacency, operations, metrics] of NAS-Bench-101",
                    got=" ".join(f"{type(error).__name__}: {error}".split())[:100],
                ) from error
        which.append(pairs)
        values.append(measured)
        done += len(block)
        read += sum(map(len, block)) + 16 * len(block)
        progressed(read / size_of_file)
    if not done:
        raise DataError(f"{path.name!r} has no records", hint="copy it again")
    X = rows_of(shapes, ops)
    _check_hashes(X, list(graphs), path.name)
    pairs = np.concatenate(which)
    measured = np.concatenate(values)
    columns: dict[str, Column] = {}
    most = 1
    for epochs in np.unique(pairs[:, 1]).tolist():
        mine = pairs[:, 1] == epochs
        wide = spread(pairs[mine, 0], measured[mine], len(X))
        most = max(most, wide.shape[1])
        table = chosen(wide, repeat)
        for k, name in enumerate(_MEASURED * 2):
            full = f"{name}_{epochs}ep" + ("_half" if k >= 4 else "")
            columns[full] = _column(name, table[:, k])
    columns["params"] = Column(np.array(params, dtype=np.float64), "parameters")
    return Benchmark("nb101", "nb101", X, columns, path.name, repeats_in_words(most, repeat))


def _column(name: str, values: NDArray[np.float64]) -> Column:
    return Column(values, "s", "min") if name == "train_s" else Column(values, "fraction", "max")


def _metrics(data: bytes) -> tuple[int, list[float], list[float]]:
    """Parameters, final measurements and those of the middle, of a `ModelMetrics` message.

    ModelMetrics: 1 repeated EvaluationData, 2 trainable_parameters, 3 total_time. EvaluationData:
    1 current_epoch, 2 training_time, 3 to 5 accuracies of training, validation and test (doubles),
    6 path of a checkpoint. There are three evaluations: before, in the middle, at the end.
    """
    evaluations: list[list[float]] = []
    params = 0
    for field, value in _fields(data):
        if field == 1:
            evaluations.append(_evaluation(value))
        elif field == 2:
            params = int(value)
    if len(evaluations) < 3:
        raise ValueError(f"{len(evaluations)} evaluations instead of 3")
    return params, evaluations[2], evaluations[1]


def _evaluation(data: bytes) -> list[float]:
    if len(data) >= _EVALUATION.size:
        a, _, b, seconds, c, train, d, val, e, test = _EVALUATION.unpack_from(data)
        if (a, b, c, d, e) == _TAGS:
            return [seconds, train, val, test]
    found = [0.0] * 7  # zeros may be left out
    for field, value in _fields(data):
        if field <= 5:
            found[field] = struct.unpack("<d", value)[0]
    return found[2:6]


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Numbers and values of the fields of a protobuf message: bytes, or int of a varint."""
    at, size = 0, len(data)
    while at < size:
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            value: Any
            value, at = _varint(data, at)
        else:
            if kind == 2:
                length, at = _varint(data, at)
            elif kind in (1, 5):
                length = 8 if kind == 1 else 4
            else:
                raise ValueError(f"protobuf wire type {kind}")
            if at + length > size:
                raise ValueError("a protobuf field that is cut off")
            value, at = data[at : at + length], at + length
        yield tag >> 3, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = data[at]
        at += 1
        result |= (byte & 127) << shift
        if byte < 128:
            return result, at
        shift += 7


def rows_of(shapes: Sequence[str], ops: Sequence[str]) -> Rows:
    """Rows of graphs, in canonical form.

    Args:
        shapes: adjacency matrices, the digits 0 and 1 row by row, of 2 to 7 vertices.
        ops: operations of all vertices, separated by commas, `input` first and `output` last.

    Shapes: returns (n, 26).

    >>> rows_of(["011001000"], ["input,maxpool3x3,output"])[0].nonzero()[0]  # 0->1, 0->6, 1->6
    array([ 0,  5, 10, 21])
    """
    rows = np.zeros((len(shapes), dag.N_EDGES + dag.V - 2), dtype=np.int8)
    sizes = np.array([len(text) for text in shapes])
    labels: dict[str, list[int]] = {}
    for text in set(ops):
        first, *inner, last = text.split(",")
        if first != "input" or last != "output" or {*inner} - {*OPS}:
            raise DataError("operations of NAS-Bench-101", expected="input,...,output", got=text)
        labels[text] = [OPS.index(op) for op in inner]
    for v in range(2, dag.V + 1):
        (mine,) = np.nonzero(sizes == v * v)
        if not len(mine):
            continue
        digits = "".join([shapes[i] for i in mine.tolist()]).encode("ascii")
        bits = np.frombuffer(digits, np.uint8).reshape(-1, v, v) - ord("0")
        inner_ops = [labels[ops[i]] for i in mine.tolist()]
        if (bits > 1).any() or np.tril(bits).any() or {len(o) for o in inner_ops} != {v - 2}:
            raise DataError(f"a graph of {v} vertices that is not upper triangular 0 and 1")
        place = np.array([*range(v - 1), dag.V - 1])
        matrix = np.zeros((len(mine), dag.V, dag.V), dtype=np.int8)
        matrix[:, place[:, None], place] = bits
        rows[mine, : dag.N_EDGES] = matrix[:, dag.FROM, dag.TO]
        rows[mine, dag.N_EDGES : dag.N_EDGES + v - 2] = np.array(inner_ops).reshape(len(mine), -1)
        sizes[mine] = 0
    if sizes.any():
        raise DataError("a graph of NAS-Bench-101", expected="2 to 7 vertices in a square matrix")
    space = NB101()
    return space.canonical_form(space.check(rows))


def _check_hashes(X: Rows, hashes: Sequence[str], source: str) -> None:
    """Compare the published hashes of some graphs with our own."""
    some = np.unique(np.linspace(0, len(X) - 1, _HASHED).astype(int))
    ours = NB101().md5_hash(X[some])
    for i, mine in zip(some.tolist(), ours, strict=True):
        if mine != hashes[i]:
            raise DataError(
                f"{source}, graph {i}", expected=f"hash {mine} of its graph", got=hashes[i]
            )


def _read_table(path: Path, repeat: int | None) -> Benchmark:
    """A .csv with hash, adjacency, labels and measurements, a line a training.

    Columns that no published file has are kept under their names: numbers like measurements, text
    as in the first line of a graph.
    """
    lines = list(csv.DictReader(io.StringIO(unpacked(path).decode("utf-8"), newline="")))
    names = {"-1": "input", "-2": "output", **{str(k): op for k, op in enumerate(OPS)}}
    first: dict[str, int] = {}
    for i, line in enumerate(lines):
        first.setdefault(line["hash"], i)
    number = {key: k for k, key in enumerate(first)}
    group = np.array([number[line["hash"]] for line in lines], dtype=np.int64)
    ours = [lines[i] for i in first.values()]
    X = rows_of(
        [line["adjacency"].replace("/", "") for line in ours],
        [",".join(names.get(word, word) for word in line["labels"].split(",")) for line in ours],
    )
    _check_hashes(X, list(first), path.name)
    numbers = {name: _numbers(lines, name) for name in lines[0] if name not in _GRAPH}
    fields = [name for name, known in numbers.items() if known is not None]
    values = (
        np.array([numbers[name] for name in fields], dtype=np.float64).reshape(len(fields), -1).T
    )
    wide = spread(group, values, len(X))
    table = chosen(wide, repeat)
    columns: dict[str, Column] = {}
    for k, name in enumerate(fields):
        if name in _FIELDS:
            columns[_FIELDS[name][0]] = Column(table[:, k], *_FIELDS[name][1:])
        else:
            columns[name] = own.column(name, table[:, k])
    for name in [name for name, known in numbers.items() if known is None]:
        columns[name] = Column(np.array([line[name] for line in ours], dtype=object))
    words = repeats_in_words(wide.shape[1], repeat)
    return Benchmark("nb101", "nb101", X, columns, path.name, words)


def _numbers(lines: Sequence[Mapping[str, str]], name: str) -> list[float] | None:
    """A column as numbers, NaN where a field is empty; None where it has text."""
    try:
        return [float(line[name] or "nan") for line in lines]
    except ValueError:
        return None


_GRAPH = ("hash", "vertices", "adjacency", "labels", "repeat")
_FIELDS: dict[str, tuple[str, str, Better]] = {
    "val_acc": ("val_acc", "fraction", "max"),
    "test_acc": ("test_acc", "fraction", "max"),
    "train_acc": ("train_acc", "fraction", "max"),
    "mid_val": ("val_acc_half", "fraction", "max"),
    "mid_test": ("test_acc_half", "fraction", "max"),
    "training_time": ("train_s", "s", "min"),
    "params": ("params", "parameters", ""),
    "energy_kwh": ("energy_kwh", "kWh", "min"),
}
