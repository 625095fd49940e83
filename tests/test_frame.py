from __future__ import annotations

import csv

import numpy as np
import pytest

from foretell.errors import RunError
from foretell.frame import Frame, columns_of


@pytest.fixture
def frame():
    return Frame({"arch": ["a,b", 'c"d'], "value": [0.1, np.nan], "rank": [1, 2]})


def test_a_csv_file_gives_the_frame_back(frame, tmp_path):
    frame.write(tmp_path / "a.csv")
    back = Frame.read(tmp_path / "a.csv", {"arch": str, "value": float, "rank": int})
    assert back.columns == frame.columns
    for name in frame.columns:
        np.testing.assert_array_equal(back[name], frame[name])
    with open(tmp_path / "a.csv", newline="") as file:
        assert list(csv.reader(file))[2] == ['c"d', "", "2"]


def test_no_rows_give_a_header_and_come_back(frame, tmp_path):
    frame.head(0).write(tmp_path / "a.csv")
    back = Frame.read(tmp_path / "a.csv", {"arch": str, "value": float, "rank": int})
    assert len(back) == 0
    assert back.columns == ("arch", "value", "rank")


@pytest.mark.parametrize("text", ["", "arch\nx\n", "arch,value\na,b\n", "arch,value\na\n"])
def test_another_file_is_an_error_that_names_it(text, tmp_path):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(RunError, match=r"a\.csv"):
        Frame.read(tmp_path / "a.csv", {"arch": str, "value": float})


def test_all_columns_come_as_text(frame, tmp_path):
    frame.write(tmp_path / "a.csv")
    columns = {"arch": ["a,b", 'c"d'], "value": ["0.1", ""], "rank": ["1", "2"]}
    assert columns_of(tmp_path / "a.csv") == columns
    (tmp_path / "a.csv").write_text("")
    assert columns_of(tmp_path / "a.csv") == {}


def test_text_is_aligned(frame):
    assert str(frame) == 'arch  value  rank\na,b     0.1     1\nc"d             2'
    assert len(frame.head(1)) == 1
