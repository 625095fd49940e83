"""`foretell data import` of a whole NAS-Bench-101 in the official record layout, then opening it.

Bounds: 423,624 graphs with three trainings each are converted in under 3 minutes and under 2 GB;
the table opens, in a process of its own, in under 1 s and under 300 MB. Measurements are drawn;
hashes are the published ones for every graph, so writing the records takes longer than reading.
`--full` writes four budgets, as `nasbench_full.tfrecord` has them (2 GB of disk).
"""

from __future__ import annotations

import base64
import json
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import foretell as ft
from foretell.spaces.nb101 import NB101, OPS
from foretell.spaces.parts import dag
from foretell.tables.readers.parts.tfrecord import checksums

MEASURE = """
import resource, sys, time
import foretell as ft
start = time.perf_counter()
{work}
seconds = time.perf_counter() - start
print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
CONVERT = "from foretell.tables.convert import convert; convert(sys.argv[1], sys.argv[2])"
OPEN = "table = ft.Table.open(sys.argv[2]); table.column('val_acc_108ep').max()"


def write_records(path: Path, budgets: tuple[int, ...]) -> int:
    """All graphs, each three times for each budget; the number of records."""
    space = NB101()
    rng = np.random.default_rng(0)
    total = 0
    with path.open("wb") as file:
        for X in space.enumerate(8_192):
            ops, adjacency = space.graphs(X)
            hashes = space.md5_hash(X)
            records = []
            for key, o, matrix in zip(hashes, ops, adjacency, strict=True):
                there = np.flatnonzero(o >= 0)
                text = "".join("1" if bit else "0" for bit in matrix[np.ix_(there, there)].ravel())
                names = ("input", "output", *OPS)
                words = ",".join(names[k] for k in o[there])
                for epochs in budgets:
                    for accs in rng.random((3, 2, 4)).tolist():
                        packed = base64.b64encode(metrics(epochs, accs)).decode()
                        records.append(json.dumps([key, epochs, text, words, packed]).encode())
            total += len(records)
            file.write(framed(records))
    return total


def metrics(epochs: int, accs: list[list[float]]) -> bytes:
    """A `ModelMetrics` message of three evaluations."""
    out = b""
    rows = [[0.0, 0.0, 0.1, 0.1, 0.1], [epochs / 2, *accs[0]], [float(epochs), *accs[1]]]
    for row in rows:
        parts = b"".join(struct.pack("<Bd", 9 + 8 * k, value) for k, value in enumerate(row))
        parts += b"\x32\x0fmodel.ckpt-1234"
        out += b"\x0a" + bytes([len(parts)]) + parts
    return out + b"\x10\xf8\x98\x6b" + struct.pack("<Bd", 25, 4321.5)


def framed(records: list[bytes]) -> bytes:
    """TFRecord framing."""
    data = b"".join(struct.pack("<Q", len(record)) + record for record in records)
    length = np.array([len(record) for record in records])
    start = np.cumsum(length + 8) - length
    array = np.frombuffer(data, np.uint8)
    heads = checksums(array, start - 8, np.full(len(length), 8)).astype("<u4")
    tails = checksums(array, start, length).astype("<u4")
    return b"".join(
        struct.pack("<QI", len(r), head) + r + struct.pack("<I", tail)
        for r, head, tail in zip(records, heads.tolist(), tails.tolist(), strict=True)
    )


def measured(work: str, *args: Path) -> tuple[float, float]:
    """Seconds and peak memory in MB of some lines in a process of their own."""
    command = [sys.executable, "-c", MEASURE.format(work=work), *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, memory = map(float, done.stdout.split())
    return seconds, memory


def main() -> int:
    """Write, convert, open, compare with the bounds."""
    budgets = (4, 12, 36, 108) if "--full" in sys.argv else (108,)
    with tempfile.TemporaryDirectory() as folder:
        records, table = Path(folder) / "nasbench.tfrecord", Path(folder) / "nb101.parquet"
        start = time.perf_counter()
        count = write_records(records, budgets)
        size = records.stat().st_size / 2**20
        print(f"{count:,} records, {size:.0f} MB, written in {time.perf_counter() - start:.0f} s")
        converted, memory = measured(CONVERT, records, table)
        print(f"converted in {converted:.1f} s (bound 180 s), {memory:.0f} MB (bound 2,048 MB)")
        opened, little = measured(OPEN, records, table)
        rows = len(ft.Table.open(table))
        print(
            f"opened in {opened:.2f} s (bound 1 s), {little:.0f} MB (bound 300 MB), {rows:,} rows"
        )
    fine = converted < 180 and memory < 2_048 and opened < 1 and little < 300
    return int(not fine or rows != dag.all_classes().shape[0])


if __name__ == "__main__":
    sys.exit(main())
