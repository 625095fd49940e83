"""Numbers as spreadsheets write them, missing cells, and labels that stay text."""

from __future__ import annotations

import numpy as np
import pytest

from foretell.errors import DataError, SettingError
from foretell.training.data import load, read_inputs

N = 40
VALUES = np.random.default_rng(0).normal(100, 900, N).round(2)


def german(value):
    return f"{value:,.2f}".translate({ord(","): ".", ord("."): ","})


@pytest.mark.parametrize(
    ("delimiter", "write", "said"),
    [
        (";", lambda v: f"{v:.2f}".replace(".", ","), "decimal commas"),
        (";", german, "decimal commas"),
        ("\t", german, "decimal commas"),
        (";", lambda v: f"{v:,.2f}", "commas between thousands"),
        (",", lambda v: f'"{v:,.2f}"', "commas between thousands"),
        (",", lambda v: '"' + f"{v:.2f}".replace(".", ",") + '"', "decimal commas"),
        ("|", str, ""),
    ],
)
@pytest.mark.parametrize("gap", ["#N/A", "NULL", "", "-", "n.a.", "#DIV/0!"])
def test_numbers_are_numbers(csv_file, delimiter, write, said, gap):
    rows = [delimiter.join([write(v), str(i), "ab"[i % 2]]) for i, v in enumerate(VALUES)]
    rows[3] = delimiter.join([gap, "3", "b"])
    path = csv_file("\n".join([delimiter.join(["v", "i", "y"]), *rows]))
    data = load(path)
    assert data.input_shape == (2,)
    there = np.arange(N) != 3
    back = data.x[:, 0] * data.std[0] + data.mean[0]
    np.testing.assert_allclose(back[there], VALUES[there], rtol=1e-4, atol=0.01)
    column = data.describe()["columns"][0]
    assert (column["name"], column["as"]) == ("v", "number")
    assert said in column["note"]
    assert "1 missing" in column["note"]
    assert "2 columns as number: v (" in " ".join(data.lines())
    np.testing.assert_array_equal(read_inputs(path, data.input_spec())[1], data.x)


@pytest.mark.parametrize(
    "labels",
    [
        ("001", "01", "1"),
        ("12345678901234567", "12345678901234568"),
        ("None", "NA", "ok"),
        ("null", "some"),
        ("?", "!"),
    ],
)
def test_labels_stay_what_they_are(csv_file, labels):
    rows = [f"{i},{labels[i % len(labels)]}" for i in range(60)]
    assert load(csv_file("\n".join(["i,y", *rows]))).labels == tuple(sorted(labels))


def test_long_ids_of_an_array_are_not_merged():
    ids = 12345678901234567 + np.arange(60) % 3
    data = load((np.arange(60.0)[:, None], ids))
    assert data.labels == tuple(map(str, sorted(set(ids.tolist()))))


def test_a_word_among_numbers_is_named(csv_file):
    rows = [f"{'many' if i == 7 else i % 30},{'ab'[i % 2]}" for i in range(60)]
    data = load(csv_file("\n".join(["v,y", *rows])))
    assert "no number because of 'many' in line 9" in " ".join(data.lines())


def test_columns_left_out(csv_file):
    rows = [f"u{i},{i},{'ab'[i % 2]}" for i in range(300)]
    path = csv_file("\n".join(["id,v,y", *rows]))
    with pytest.raises(DataError, match=r"text column 'id'.*leave it out \(--drop\)"):
        load(path)
    data = load(path, drop=["id"])
    assert data.input_shape == (1,)
    assert "left out as asked: id" in data.lines()
    with pytest.raises(SettingError, match=r"no column 'ids' to drop.*some of id, v, y"):
        load(path, drop=["ids"])
