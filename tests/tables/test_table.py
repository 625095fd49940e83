"""`Table`: reading, looking up, saying what is wrong."""

from __future__ import annotations

import gzip
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import foretell as ft
from foretell.errors import (
    DataError,
    ForetellError,
    MissingExtraError,
    SettingError,
    UnknownArchitectureError,
)
from foretell.tables.table import Table

SPACE = ft.spaces.get("nb201")
OWN = ft.Space.from_choices({"depth": [1, 2], "op": ["conv", "skip", "pool"]}, build=print)


def small(**columns):
    X = next(SPACE.enumerate())[:5]
    return Table(SPACE, X, columns or {"val_acc": [0.1, 0.2, 0.3, 0.4, 0.5]})


def csv_of(folder, text, name="t.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


A, B = OWN.to_str(OWN.from_str(["depth=1,op=conv", "depth=2,op=pool"]))


# -- oracle: the published table --------------------------------------------------------------


def test_published_table(data_dir):
    started = time.process_time()
    table = Table.open(data_dir / "nb201.csv.gz", space=SPACE)
    assert time.process_time() - started < 1.0
    assert len(table) == 15_625
    # figures of the data's own description
    assert table.column("cifar10_test_200ep").max() == 94.3733
    assert round(float(table.column("cifar10_test_200ep").mean()), 4) == 87.0629
    assert table.column("cifar10_val_12ep").max() == 84.892
    assert len(np.unique(SPACE.canonical(table.X))) == 6_466


def test_query_agrees_with_the_text_of_the_file(data_dir):
    path = data_dir / "nb201.csv.gz"
    table = Table.open(path, space=SPACE)
    with gzip.open(path, "rt") as lines:
        header, *rows = (line.rstrip("\n").split(",") for line in lines)
    at = header.index("cifar100_test_12ep")
    plain = {row[1]: float(row[at]) for row in rows}
    X = SPACE.sample(500, rng=1)
    expected = [plain[text] for text in SPACE.to_str(X)]
    assert table.query(X, "cifar100_test_12ep").tolist() == expected


def test_a_million_look_ups_a_second(data_dir):
    table = Table.open(data_dir / "nb201.csv.gz", space=SPACE)
    X = table.X[np.random.default_rng(0).integers(0, len(table), 1_000_000)]
    table.query(X, "cifar10_val_12ep")
    started = time.process_time()
    table.query(X, "cifar10_val_12ep")
    assert time.process_time() - started < 1.0


# -- looking up -------------------------------------------------------------------------------


def test_query_in_any_order_and_with_repetition():
    table = small()
    assert table.query(table.X[[4, 0, 0, 2]], "val_acc").tolist() == [0.5, 0.1, 0.1, 0.3]
    assert table.query(table.X[:0], "val_acc").shape == (0,)
    assert table.X.dtype == np.int8
    assert table.query(table.X.astype(np.int64), "val_acc").dtype == np.float64


def test_unknown_architecture_is_named():
    table = small()
    unknown = np.array([[4, 4, 4, 4, 4, 4]])
    with pytest.raises(UnknownArchitectureError) as caught:
        table.query(np.concatenate([table.X[:1], unknown]), "val_acc")
    assert SPACE.to_str(unknown)[0] in str(caught.value)
    assert "Next: " in str(caught.value)
    assert isinstance(caught.value, KeyError)
    assert table.contains(np.concatenate([table.X[:1], unknown])).tolist() == [True, False]


def test_unknown_column_lists_columns_and_the_nearest():
    with pytest.raises(DataError, match=r"expected one of val_acc.*did you mean 'val_acc'"):
        small().query(small().X, "val_ac")


def test_missing_value_is_an_error_unless_asked_for():
    table = small(val_acc=[0.1, np.nan, 0.3, 0.4, 0.5])
    with pytest.raises(DataError, match=r"no 'val_acc' for architecture .*row 1.*missing='nan'"):
        table.query(table.X, "val_acc")
    assert np.isnan(table.query(table.X, "val_acc", missing="nan")).tolist() == [0, 1, 0, 0, 0]
    with pytest.raises(SettingError):
        table.query(table.X, "val_acc", missing="ignore")


def test_text_column_is_kept_and_refused():
    table = small(note=["a", "", "c", "d", "e"], val_acc=np.arange(5))
    assert table.columns == ("note", "val_acc")
    with pytest.raises(DataError, match="text such as 'a'"):
        table.query(table.X, "note")


def test_repeats_are_averaged_over_what_is_there():
    X = next(SPACE.enumerate())[[7, 3, 7, 7, 3]]
    table = Table(SPACE, X, {"v": [1.0, 5.0, 2.0, np.nan, np.nan], "w": list("abcde")})
    assert table.X.tolist() == X[:2].tolist()
    assert table.repeats.tolist() == [3, 2]
    assert table.column("v").tolist() == [1.5, 5.0]


def test_rows_that_differ_where_it_does_not_matter_are_one():
    space = ft.Space.from_choices(
        {"depth": [1, 2], "op": ft.choice(["conv", "skip"], repeat="depth")}, build=print
    )
    table = Table(space, [[0, 1, 0], [0, 1, 1]], {"v": [1.0, 3.0]})
    assert len(table) == 1
    assert table.query([[0, 1, 1]], "v").tolist() == [2.0]


# -- curves -----------------------------------------------------------------------------------


def test_curves_are_those_of_the_first_record():
    X = next(SPACE.enumerate())[[7, 3, 7]]
    curve = np.array([[1.0, 2.0], [3.0, np.nan], [5.0, 6.0]])
    table = Table(SPACE, X, {"v": [2.0, 3.0, 6.0]}, {"v": curve})
    np.testing.assert_array_equal(table.curve("v"), curve[:2])
    assert list(table.curves) == ["v"]
    with pytest.raises(DataError, match="no curve 'w' in table: expected one of v"):
        table.curve("w")
    with pytest.raises(DataError, match="expected a table of curves"):
        small().curve("v")
    for wrong in ([1.0, 2.0, 3.0], curve[:2]):
        with pytest.raises(DataError, match=r"expected shape \(3, epochs\)"):
            Table(SPACE, X, {}, {"v": wrong})


# -- files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet"])
def test_round_trip(tmp_path, name):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    X = OWN.sample(6, rng=0)
    values = np.random.default_rng(0).normal(size=6)
    values[0] = np.nan
    one = Table(OWN, X, {"v": values, "note": ['a,"b"', "", "c\nd", "e", "f", "g"]})
    two = Table.open(one.write(tmp_path / name), space=OWN)
    assert two.X.tolist() == one.X.tolist()
    assert two.columns == one.columns
    assert np.array_equal(two.column("v"), one.column("v"), equal_nan=True)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_parquet_kinds_of_columns(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    columns = {
        "arch": [A, B],
        "int": [1, None],
        "bool": [True, False],
        "text": ["x", None],
        "list": [[1], [2]],
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    table = Table.open(tmp_path / "t.parquet", space=OWN)
    assert np.array_equal(table.column("int"), [1.0, np.nan], equal_nan=True)
    assert table.column("bool").tolist() == [1.0, 0.0]
    for name in ("text", "list"):
        with pytest.raises(DataError, match="text such as"):
            table.column(name)
    csv_of(tmp_path, b"PAR1 no", "bad.parquet")
    with pytest.raises(DataError, match="not a Parquet file"):
        Table.open(tmp_path / "bad.parquet", space=OWN)


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'foretell\[bench\]'"):
        Table.open(csv_of(tmp_path, "", "t.parquet"), space=OWN)


def test_csv_details(tmp_path):
    text = f'\ufeffarch , v,w\r\n"{A}",1,\r\n\r\n"{B}",NaN,2e1\r\n'
    table = Table.open(csv_of(tmp_path, text), space=OWN)
    assert table.columns == ("v", "w")
    assert np.array_equal(table.column("v"), [1.0, np.nan], equal_nan=True)
    assert np.array_equal(table.column("w"), [np.nan, 20.0], equal_nan=True)


WHOLE = gzip.compress(f'arch,v\n"{A}",1\n'.encode() * 50, mtime=0)  # no clock in the names of tests


@pytest.mark.parametrize(
    ("content", "name", "says"),
    [
        ("", "t.csv", "is empty"),
        ("\n\n", "t.csv", "is empty"),
        ("arch,v\n", "t.csv", "no rows"),
        ("name,v\nx,1\n", "t.csv", "no 'arch' column, line 1.*'name, v'"),
        ("arch;v\nx;1\n", "t.csv", "by commas"),
        ("arch,v,v\n", "t.csv", "line 1.*names that differ"),
        (f'arch,v\n"{A}",1\n"{B}",1,2\n', "t.csv", "line 3: expected 2 fields .*got 3"),
        (f"arch,v\n{A},1\n", "t.csv", "line 2.*quotes"),
        (f'arch,v\n"{A}",1\n"depth=9,op=conv",2\n', "t.csv", "line 3: .*depth=9"),
        (b"arch,v\nx\n\xff\xfe,1\n", "t.csv", "line 3: expected UTF-8 text, got byte 0xff"),
        ('arch,v\n"x,1\n', "t.csv", "line 2: got unexpected end of data"),
        (WHOLE[:-9], "t.csv.gz", "not a whole gzip file"),
        (b"arch,v\n", "t.csv.gz", "not a whole gzip file"),
        ("arch", "t.txt", r"expected a .csv, .csv.gz or .parquet file"),
    ],
)
def test_a_bad_file_is_one_clear_error(tmp_path, content, name, says):
    with pytest.raises(DataError, match=says):
        Table.open(csv_of(tmp_path, content, name), space=OWN)


def test_no_such_file_or_a_folder(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        Table.open(tmp_path / "t.csv", space=OWN)
    with pytest.raises(DataError, match="a folder"):
        Table.open(tmp_path, space=OWN)


def test_columns_of_the_wrong_length():
    with pytest.raises(DataError, match=r"column 'v' .*expected 2 values.*\(3,\)"):
        Table(OWN, OWN.sample(2, rng=0), {"v": [1, 2, 3]})


# -- fuzz -------------------------------------------------------------------------------------

FIELDS = st.one_of(
    st.sampled_from([A, B, f'"{A}"', "arch", "", "nan", "1e5", "-3", "inf", '"', "'", "\x00", "é"]),
    st.text(max_size=8),
)
LINES = st.lists(st.lists(FIELDS, max_size=4).map(",".join), max_size=6)
CONTENT = st.one_of(
    st.binary(max_size=200),
    LINES.map("\n".join).map(str.encode),
    LINES.map(lambda lines: "\n".join(["arch,v", *lines]).encode()),
    st.tuples(st.binary(max_size=60), st.integers(0, 90)).map(
        lambda pair: gzip.compress(b"arch,v\n" + pair[0])[: pair[1]]
    ),
)


@settings(max_examples=300, deadline=None)
@given(content=CONTENT, suffix=st.sampled_from([".csv", ".csv.gz", ".parquet"]))
def test_any_bytes_give_a_table_or_one_clear_error(content, suffix):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"t{suffix}"
        path.write_bytes(content)
        try:
            table = Table.open(path, space=OWN)
            for name in table.columns:
                table.query(table.X, name, missing="nan")
        except ForetellError as error:
            assert str(error)  # noqa: PT017  # the point: this and nothing else may come


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet"])
def test_an_index_stands_for_architectures_of_a_numbered_space(tmp_path, name):
    file = tmp_path / name
    if name == "t.parquet":
        pa = pytest.importorskip("pyarrow")
        pq = pytest.importorskip("pyarrow.parquet")
        pq.write_table(pa.table({"index": [15_000, 3], "val_acc": [0.5, 0.7]}), file)
    else:
        content = b"index,val_acc\n15000,0.5\n3,0.7\n"
        file.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    table = Table.open(file, space=SPACE)
    assert SPACE.index(table.X).tolist() == [15_000, 3]
    assert table.query(SPACE.from_str(["3"]), "val_acc") == [0.7]
    assert table.columns == ("index", "val_acc")
    with pytest.raises(DataError, match="has no 'arch' column"):
        Table.open(file, space=OWN)


def test_an_index_that_is_none_is_named_with_its_line(tmp_path):
    for wrong in ("15625", "2.5", "x", ""):
        (tmp_path / "t.csv").write_text(f"index,val_acc\n1,0.5\n{wrong},0.7\n")
        with pytest.raises(DataError, match="line 3: not an architecture of space 'nb201'"):
            Table.open(tmp_path / "t.csv", space=SPACE)


def test_text_in_a_repeat_of_a_row_is_text_of_the_column(tmp_path):
    path, cell = tmp_path / "t.csv", "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
    path.write_text(f"arch,val_acc\n{cell},0.5\n{cell},half\n")
    table = ft.Table.open(path, space=ft.spaces.get("nb201"))
    with pytest.raises(DataError, match="expected numbers, got text, in a repeat of a row"):
        table.column("val_acc")
