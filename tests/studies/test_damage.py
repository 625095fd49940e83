"""Cells that somebody has changed by hand: one line that names the field, read or continued."""

from __future__ import annotations

import json

import pytest

import foretell as ft
from foretell.errors import RunError
from foretell.studies import predictors, searches


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    space = ft.spaces.get("nb201")
    X = space.sample(50, rng=0)
    lines = [f"{a},{90 + i / 10}" for i, a in enumerate(space.to_str(X))]
    path = tmp_path_factory.mktemp("table") / "t.csv"
    path.write_text("\n".join(["arch,val_acc", *lines]) + "\n")
    return path


def run(kind, table, out):
    if kind == "predictors":
        some = {"predictors": ["mean"], "train_sizes": [10], "seeds": 1}
        return predictors.run_predictors(table, "nb201", "val_acc", out=out, **some)
    some = {"strategies": ["random"], "budget": 5, "seeds": 1}
    return searches.run_searches(table, "nb201", "val_acc", out=out, **some)


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("predictors", "kendall", "../../x"),
        ("predictors", "fit_s", [1]),
        ("predictors", "tuned", {}),
        ("predictors", "seed", [1]),
        ("searches", "strategy", {}),
        ("searches", "values", "high"),
        ("searches", "values", [1, "x"]),
        ("searches", "test", []),
    ],
)
def test_a_changed_value_is_named(kind, field, value, table, tmp_path):
    run(kind, table, tmp_path / "s")
    path = tmp_path / "s" / "results.jsonl"
    cells = [json.loads(line) for line in path.read_text().splitlines()]
    cells[0][field] = value
    path.write_text("".join(json.dumps(cell) + "\n" for cell in cells))
    for use in (
        lambda: run(kind, table, tmp_path / "s"),
        lambda: {"predictors": predictors, "searches": searches}[kind].read(tmp_path / "s"),
    ):
        with pytest.raises(RunError, match=rf"results.jsonl is damaged at {field}") as error:
            use()
        assert "\n" not in str(error.value)


def test_a_folder_where_a_file_should_be_is_one_line(table, tmp_path):
    pytest.importorskip("pyarrow")
    run("predictors", table, tmp_path / "s")
    (tmp_path / "s" / "results.parquet").unlink()
    (tmp_path / "s" / "results.parquet" / "x").mkdir(parents=True)
    with pytest.raises(RunError, match=r"cannot write .*results\.parquet"):
        run("predictors", table, tmp_path / "s")
