"""NAS-Bench-101 from record files that the tests write, and from the table of small graphs."""

from __future__ import annotations

import csv
import gzip
import io

import numpy as np
import pytest

import foretell as ft
from foretell.errors import DataError
from foretell.spaces.nb101 import OPS
from foretell.tables.convert import convert, read
from foretell.tables.readers import nb101
from foretell.tables.readers.parts import tfrecord

SPACE = ft.spaces.get("nb101")
BUDGETS = (4, 108)


def graphs(n=40, seed=0):
    X = SPACE.sample(n, rng=seed)
    X = X[np.unique(SPACE.row_key(X), return_index=True)[1]]
    view = SPACE.graphs(X)
    names = ("input", "output", *OPS)
    for row, key, ops, adjacency in zip(X, SPACE.md5_hash(X), *view, strict=True):
        there = np.flatnonzero(ops >= 0)
        matrix = adjacency[np.ix_(there, there)].astype(int)
        text = "".join(str(bit) for bit in matrix.ravel())
        yield row, key, text, ",".join(names[k] for k in ops[there])


@pytest.fixture
def made(tmp_path, official):
    """A record file, and what it says: (row, epochs, repeat) -> seconds, train, val, test."""
    rng = np.random.default_rng(1)
    records, truth = [], {}
    for i, (row, key, matrix, ops) in enumerate(graphs()):
        for epochs in BUDGETS:
            for repeat in range(3):
                final, half = rng.random((2, 4)).tolist()
                rows = [[0.0] * 5, [epochs / 2, *half], [float(epochs), *final]]
                packed = official.metrics(rows, 1000 + i, zeros=repeat > 0)
                records.append(official.nb101_record(key, epochs, matrix, ops, packed))
                truth[tuple(row), epochs, repeat] = final, half
    order = rng.permutation(len(records))
    path = official.write_tfrecord(tmp_path / "nasbench.tfrecord", [records[i] for i in order])
    # the file's own order of the repeats of a graph
    places = {}
    for i in order:
        key = list(truth)[i]
        places.setdefault(key[:2], []).append(truth[key])
    return path, places


def test_records_become_columns(made):
    path, places = made
    shares: list[float] = []
    found = read(path, on_progress=shares.append)
    assert shares == [1.0]
    table = ft.Table.open(path)
    assert found.name == found.space == "nb101"
    assert found.repeats == "mean of up to 3 trainings"
    assert len(table) == len(places) / len(BUDGETS)
    names = ("train_s", "train_acc", "val_acc", "test_acc")
    for (row, epochs), trainings in places.items():
        for k, name in enumerate(names):
            for half, suffix in ((0, ""), (1, "_half")):
                want = np.mean([one[half][k] for one in trainings])
                got = table.query(np.array([row]), f"{name}_{epochs}ep{suffix}")[0]
                assert got == pytest.approx(want, rel=1e-12)
    assert found.columns["val_acc_108ep"].unit == "fraction"
    assert found.columns["train_s_108ep"].unit == "s"
    assert set(table.column("params")) == set(range(1000, 1000 + len(table)))


def test_one_of_the_repeats(made):
    path, places = made
    found = read(path, repeat=1)
    index = {tuple(row): i for i, row in enumerate(found.X)}
    for (row, epochs), trainings in places.items():
        got = found.columns[f"test_acc_{epochs}ep"].values[index[row]]
        assert got == trainings[1][0][3]
    assert found.repeats == "training 1 of up to 3"
    with pytest.raises(DataError, match="expected 0 to 2, got 3"):
        read(path, repeat=3)


def test_checksums_are_those_of_the_plain_rule(official):
    rng = np.random.default_rng(0)
    lengths = rng.integers(0, 90, 50)
    starts = np.cumsum(lengths) - lengths
    data = rng.integers(0, 256, lengths.sum(), dtype=np.uint8)
    want = [
        official.masked_crc(data[s : s + n].tobytes()) for s, n in zip(starts, lengths, strict=True)
    ]
    assert tfrecord.checksums(data, starts, lengths).tolist() == want


def test_blocks_of_any_size_give_the_same_records(made):
    path, _ = made
    whole = [r for block in tfrecord.records(path) for r in block]
    assert [r for block in tfrecord.records(path, block=20_000) for r in block] == whole
    assert len(whole) > 100


@pytest.mark.parametrize("at", [5, 700, -2])
def test_a_damaged_byte_is_named(made, at):
    path, _ = made
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r", record \d+: (its length|the checksum)") as caught:
        read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cut", [1, 3, 50])
def test_a_torn_file_is_named_and_nothing_is_written(made, cut, tmp_path):
    path, _ = made
    path.write_bytes(path.read_bytes()[:-cut])
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DataError, match=r"record \d+: the file ends inside of it"):
        convert(path, tmp_path / "out.parquet")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (b'{"a": 1}', "record 0"),
        (b'["k", 108, "010001000", "input,conv3x3-bn-relu,output", "AAAA"]', "record 0"),
        (b"not json", "record 0"),
    ],
)
def test_foreign_records(tmp_path, official, record, says):
    path = official.write_tfrecord(tmp_path / "x.tfrecord", [record])
    with pytest.raises(DataError, match=says):
        read(path)


def test_graphs_that_are_none(official, tmp_path):
    packed = official.metrics([[0.0] * 5, [0.5] * 5, [0.5] * 5], 7)
    for matrix, ops in (
        ("010001001", "input,conv3x3-bn-relu,output"),
        ("010001000", "input,conv5x5,output"),
        ("01000100", "input,conv3x3-bn-relu,output"),
        ("010001000", "input,conv3x3-bn-relu,conv3x3-bn-relu,output"),
    ):
        record = official.nb101_record("k", 108, matrix, ops, packed)
        path = official.write_tfrecord(tmp_path / "x.tfrecord", [record])
        with pytest.raises(DataError):
            read(path)
    wrong = official.nb101_record("0" * 32, 108, "010001000",
                                  "input,conv3x3-bn-relu,output", packed)  # fmt: skip
    with pytest.raises(DataError, match="hash"):
        read(official.write_tfrecord(tmp_path / "x.tfrecord", [wrong]))


def test_rows_of_is_from_matrix():
    rows, shapes, ops = [], [], []
    for row, _, matrix, words in graphs(60, seed=3):
        rows.append(row)
        shapes.append(matrix)
        ops.append(words)
    built = nb101.rows_of(shapes, ops)
    for row, matrix, words, one in zip(rows, shapes, ops, built, strict=True):
        v = int(len(matrix) ** 0.5)
        square = [[int(matrix[i * v + j]) for j in range(v)] for i in range(v)]
        assert (SPACE.from_matrix(square, words) == one).all()
        assert SPACE.row_key(one[None]) == SPACE.row_key(row[None])


def test_the_table_of_small_graphs(data_dir):
    path = data_dir / "nb101_small.csv.gz"
    table = ft.Table.open(path)
    lines = list(csv.DictReader(io.StringIO(gzip.decompress(path.read_bytes()).decode())))
    groups: dict[str, list[float]] = {}
    for line in lines:
        groups.setdefault(line["hash"], []).append(float(line["val_acc"]))
    assert len(table) == len(groups) == 2_532
    assert SPACE.md5_hash(table.X) == list(groups)  # the published hash, of every graph
    want = [np.mean(values) for values in groups.values()]
    np.testing.assert_allclose(table.column("val_acc"), want, rtol=1e-12)


def test_a_table_of_graphs_keeps_every_column(tmp_path):
    lines = ["hash,vertices,adjacency,labels,val_acc,jacob_cov,my_loss,note"]
    rows = []
    for k, (row, key, matrix, ops) in enumerate(graphs(12)):
        rows.append(row)
        for repeat in range(2):  # two trainings a graph
            number = "" if k == 3 else k + repeat
            lines.append(f'{key},{len(ops.split(","))},{matrix},"{ops}",0.5,{number},{-k},n{k}')
    path = tmp_path / "graphs.csv"
    path.write_text("\n".join(lines) + "\n")
    found = read(path).columns
    assert list(found) == ["val_acc", "jacob_cov", "my_loss", "note"]
    expected = np.arange(len(rows)) + 0.5
    expected[3] = np.nan
    np.testing.assert_array_equal(found["jacob_cov"].values, expected)
    assert found["my_loss"].better == "min"
    assert found["note"].values.tolist() == [f"n{k}" for k in range(len(rows))]
    table = ft.Table.open(path)
    np.testing.assert_array_equal(table.column("my_loss"), -np.arange(len(rows)))
