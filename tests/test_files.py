"""A pipe where a file should be is one line for whoever reads it, and never waited for."""

from __future__ import annotations

import os

import pytest

import foretell as ft
from foretell.errors import ForetellError
from foretell.frame import columns_of
from foretell.runs import journal
from foretell.runs.folder import RunFolder
from foretell.training.data import load
from foretell.winner.load import config_of

READERS = {
    "table.csv": columns_of,
    "run.json": lambda path: RunFolder(path.parent).settings(),
    "trials.jsonl": journal.read,
    "config.json": lambda path: config_of(path.parent),
    "data.csv": load,
    "data.csv.gz": load,
    "data.npz": load,
    "own.parquet": lambda path: ft.Table.open(path, space=ft.spaces.get("nb201")),
    "NAS-Bench-201-v1_1.pth": lambda path: ft.Table.open(path, space=ft.spaces.get("nb201")),
    "nasbench.tfrecord": ft.Table.open,
    "rows.json": ft.Table.open,
    "own.csv": lambda path: ft.Table.open(path, space=ft.spaces.get("nb201")),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", READERS)
def test_a_pipe_is_no_file(name, tmp_path):
    os.mkfifo(tmp_path / name)
    with pytest.raises(ForetellError) as error:
        READERS[name](tmp_path / name)
    assert "\n" not in str(error.value)
