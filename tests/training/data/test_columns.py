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


@pytest.mark.parametrize(
    ("delimiter", "write", "said"),
    [
        (";", lambda v: f"{v:,.2f}".translate({44: "\u202f", 46: ","}), "spaces between thousands"),
        (",", lambda v: f"{v:,.2f}".replace(",", " "), "spaces between thousands"),
        (";", lambda v: f"{v:,.2f}".replace(",", "\u2019"), "apostrophes between thousands"),
        (",", lambda v: f"{v:.2f} kg", "without 'kg'"),
        (",", lambda v: f"{v:.2f}%".replace("-", "\u2212"), "without '%'"),
        (",", lambda v: f"{v:.2f}m\u00b2", "without 'm\u00b2'"),
        (",", lambda v: f"${v:.2f}".replace("$-", "-$"), "without '$'"),
        (";", lambda v: german(v) + " \u20ac", "dots between thousands, decimal commas, without"),
    ],
)
def test_units_and_signs_between_thousands(csv_file, delimiter, write, said):
    rows = [delimiter.join([write(v), "ab"[i % 2]]) for i, v in enumerate(VALUES)]
    path = csv_file("\n".join([delimiter.join(["v", "y"]), *rows]))
    data = load(path)
    assert data.input_shape == (1,)
    back = data.x[:, 0] * data.std[0] + data.mean[0]
    np.testing.assert_allclose(back, VALUES, rtol=1e-4, atol=0.01)
    assert said in data.describe()["columns"][0]["note"]
    np.testing.assert_array_equal(read_inputs(path, data.input_spec())[1], data.x)
    path.write_text("\n".join([delimiter.join(["v", "y"]), rows[5]]))
    np.testing.assert_array_equal(read_inputs(path, data.input_spec())[1], data.x[5:6])


@pytest.mark.parametrize("cells", ["1-2", "12:30", "3/4", "2024-01-05", "1.2.3", "A12", "5 a|5 b"])
def test_what_is_no_amount_stays_text(csv_file, cells):
    each = cells.split("|") if "|" in cells else [cells, cells.replace("2", "7").replace("4", "8")]
    rows = [f"{each[i % 2]},{'ab'[i % 3 > 0]}" for i in range(60)]
    data = load(csv_file("\n".join(["v,y", *rows])))
    assert data.describe()["columns"][0]["as"] == "text"


def test_new_numbers_are_written_as_those_of_training(csv_file):
    """1,234 alone is a thousand and more, or little more than one."""
    rows = [f"{v};{'ab'[i % 2]}" for i, v in enumerate(["0,5", "1,234", "2,75"] * 20)]
    data = load(csv_file("\n".join(["v;y", *rows])))
    _, x = read_inputs(csv_file("v;y\n1,234;"), data.input_spec())
    np.testing.assert_array_equal(x, data.x[1:2])
    for plain in ("v\n1.234", "v,y\n1.234,"):  # by another program
        np.testing.assert_array_equal(read_inputs(csv_file(plain), data.input_spec())[1], x)


def test_doses_are_classes_and_weights_are_not(csv_file):
    rows = [f"{i},{(5, 10)[i % 2]} mg" for i in range(60)]
    assert load(csv_file("\n".join(["i,dose", *rows]))).labels == ("10 mg", "5 mg")
    rows = [f"{i},{i * 1.5} kg" for i in range(60)]
    data = load(csv_file("\n".join(["i,weight", *rows])))
    assert data.task == "regression"
    assert data.target_mean[0] == pytest.approx(44, abs=5)


HEADS = {
    "sep=;\n": ";",
    "# made by a program\n# on a day\n": ",",
    "\n\n": ",",
}


@pytest.mark.parametrize("above", HEADS)
def test_lines_above_the_header(csv_file, above):
    delimiter = HEADS[above]
    rows = [f"{i},{i % 7},{'ab'[i % 2]}".replace(",", delimiter) for i in range(40)]
    path = csv_file(above + "\n".join(["u,v,y".replace(",", delimiter), *rows]))
    data = load(path)
    assert [one["name"] for one in data.describe()["columns"]] == ["u", "v"]
    rows[3] = delimiter.join("x")
    path = csv_file(above + "\n".join(["u,v,y".replace(",", delimiter), *rows[:3], "3"]))
    with pytest.raises(DataError, match=f"line {above.count(chr(10)) + 5} of .*expected 3 cells"):
        load(path)


def test_a_header_may_begin_with_the_mark_of_a_comment(tmp_path):
    values = np.stack([np.arange(40), np.arange(40) % 7, np.arange(40) % 2], axis=1)
    np.savetxt(tmp_path / "t.csv", values, "%d", ",", header="u,v,y")
    assert load(tmp_path / "t.csv").input_shape == (2,)


@pytest.mark.parametrize(
    ("delimiter", "names"),
    [
        (";", ['"length, mean, mm"', '"width, mm"', '"class, y"']),
        (";", ["length (a, b, c, d)", "width", "y"]),
        ("\t", ["length (a, b, c, d)", "width; mm", "y"]),
        (",", ["a|b|c|d", "width", "y"]),
    ],
)
def test_what_separates_cells_may_stand_in_names(csv_file, delimiter, names):
    rows = [delimiter.join([str(i), str(i % 7), "ab"[i % 2]]) for i in range(40)]
    data = load(csv_file("\n".join([delimiter.join(names), *rows])))
    found = [*(one["name"] for one in data.describe()["columns"]), data.describe()["target"]]
    assert found == [name.strip('"') for name in names]


def test_sixteen_bit_text(tmp_path):
    text = "\n".join(["gr\u00f6\u00dfe\ty", *(f"{i}\t{'ab'[i % 2]}" for i in range(40))])
    for encoding in ("utf-16", "utf-8", "utf-8-sig"):
        (tmp_path / "t.csv").write_text(text, encoding)
        data = load(tmp_path / "t.csv")
        assert data.describe()["columns"][0]["name"] == "gr\u00f6\u00dfe"
    (tmp_path / "t.csv").write_text(text, "cp1252")
    with pytest.raises(DataError, match=r'UTF-8.*Next: save it as UTF-8 \("CSV UTF-8" in Excel\)'):
        load(tmp_path / "t.csv")


def test_columns_without_a_name(csv_file):
    """As pandas numbers its rows, and as spreadsheets end their lines."""
    order = np.random.default_rng(0).permutation(40)
    rows = [f"{order[i]},{i},{'ab'[i % 2]}," for i in range(40)]
    data = load(csv_file("\n".join([",v,y,", *rows])))
    assert data.input_shape == (1,)
    assert data.lines()[1] == "column 1 has no name and was left out: numbers of the rows"
    assert data.lines()[2] == "column 4 has no name and was left out: it is empty"
    with pytest.raises(DataError, match=r"column 1 of .*a name of its own in the header, got ''"):
        load(csv_file("\n".join([",v,y,", *(row.replace("7", "x") for row in rows)])))
