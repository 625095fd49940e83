"""`run_searches`: curves, what they need, partial tables, continuing."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from typer.testing import CliRunner

import foretell as ft
from foretell.cli import app
from foretell.errors import RunError, SettingError
from foretell.spaces.parts.listed import listed
from foretell.strategies.neural_predictor import NeuralPredictor
from foretell.studies.searches import SearchRecord, SearchStudy, run_searches
from foretell.tables.table import Table

SPACE = ft.spaces.get("nb201")
STRATEGIES = {
    "np": NeuralPredictor(10, Ridge(), batch=5),
    "evo": ft.strategies.get("regularized-evolution", population=8, sample_size=3),
    "random": ft.strategies.get("random"),
}


@pytest.fixture
def table(tmp_path):
    X = SPACE.sample(600, rng=0)
    y = X.sum(axis=1).astype(float)
    y[7] = np.nan
    return Table(SPACE, X, {"val": y, "test": -y}).write(tmp_path / "table.csv")


def study(table, out, strategies=STRATEGIES, budget=30, seeds=3, **more):
    return run_searches(table, SPACE, "val", strategies, budget, seeds, out, **more)


def test_curves_budget_and_test_value(table, tmp_path):
    found = study(table, tmp_path / "out", test_column="test")
    known = Table.open(table, space=SPACE)
    for record in found.records:
        assert len(record.values) == 30
        best = max(v for v in record.values if v is not None)
        assert record.test == -best
        assert best <= np.nanmax(known.column("val"))
    assert found.names == list(STRATEGIES)
    curves = found.curves("np")
    assert curves.shape == (3, 30)
    assert (np.diff(curves) >= 0).all()
    assert np.mean(found.best_at("np", 30)) > np.mean(found.best_at("random", 30))


def test_partial_table_is_searched_and_used_up(table, tmp_path):
    small = Table(SPACE, SPACE.sample(12, rng=1), {"val": np.arange(12.0)})
    path = small.write(tmp_path / "small.csv")
    found = study(path, tmp_path / "out")
    for record in found.records:
        assert sorted(record.values) == list(range(12))  # every row once, though 30 were allowed
    assert (found.curves("evo")[:, -1] == 11).all()


def test_needed_and_summary_of_made_up_records(tmp_path):
    records = (
        SearchRecord("a", "", 0, (1.0, 5.0, 2.0, 9.0)),
        SearchRecord("a", "", 1, (3.0, None, 4.0, 9.0)),
        SearchRecord("b", "", 0, (0.0, 0.0, 6.0, 6.0)),
        SearchRecord("b", "", 1, (2.0, 2.0, 2.0, 2.0), error=""),
    )
    up = SearchStudy(records, tmp_path, budget=4)
    assert up.curves("a").tolist() == [[1, 5, 5, 9], [3, 3, 4, 9]]
    assert up.best_at("a", 3) == [5.0, 4.0]
    assert [up.needed("a", v) for v in (2.0, 4.0, 9.0, 9.5)] == [1, 2, 4, None]
    assert up.needed("b", 4.0) == 3
    assert "> 4" in up.summary()  # b never reaches what a has at 4
    down = SearchStudy(records, tmp_path, budget=4, direction="min")
    assert down.curves("a").tolist() == [[1, 1, 1, 1], [3, 3, 3, 3]]
    assert [down.needed("b", v) for v in (1.0, 0.5)] == [1, None]


def test_direction_min_finds_small_values(table, tmp_path):
    found = study(table, tmp_path / "out", direction="min")
    assert np.mean(found.best_at("np", 30)) < np.mean(found.best_at("random", 30))


def test_continues_adds_and_refuses(table, tmp_path):
    def stop(progress):
        if progress.done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study(table, tmp_path / "out", on_progress=stop)
    calls = []
    again = study(table, tmp_path / "out", on_progress=calls.append)
    whole = study(table, tmp_path / "whole")
    assert len(calls) == 5
    assert [r.values for r in again.records] == [r.values for r in whole.records]
    # other settings of a strategy under the same label are another cell
    other = {**STRATEGIES, "np": NeuralPredictor(12, Ridge(), batch=5)}
    study(table, tmp_path / "out", other, on_progress=calls.append)
    assert len(calls) == 8
    with pytest.raises(RunError, match="another budget"):
        study(table, tmp_path / "out", budget=31)


def test_names_of_the_catalog_and_files(table, tmp_path):
    found = study(table, tmp_path / "out", ["random", "regularized-evolution"], budget=12)
    rows = list(csv.DictReader((tmp_path / "out" / "summary.csv").read_text().splitlines()))
    assert len(rows) == 2 * 12
    last = next(r for r in rows if r["strategy"] == "random" and r["networks"] == "12")
    assert float(last["best"]) == pytest.approx(np.mean(found.best_at("random", 12)))
    assert (tmp_path / "out" / "summary.md").read_text().strip() == found.summary().strip()


def test_wrong_settings(table, tmp_path):
    for wrong in ({"strategies": []}, {"budget": 0}):
        with pytest.raises(SettingError, match="study of searches"):
            study(table, tmp_path / "out", **wrong)


def test_listed_space_stays_in_its_list():
    X = SPACE.sample(40, rng=3)
    few = listed(SPACE, X)
    keys = SPACE.row_key(X)
    assert few.size == len(np.unique(keys))
    rows = [few.sample(50, rng=0), few.mutate(few.sample(50, rng=1), rng=2), *few.enumerate(7)]
    rows += [few.neighbors(x) for x in X]
    assert np.isin(SPACE.row_key(np.concatenate(rows)), keys).all()
    moved = few.mutate(X, rng=4)
    assert (moved != X).any(axis=1).mean() > 0.9
    assert SPACE.size == 15_625  # the space itself is as it was


@pytest.fixture
def timed(tmp_path):
    X = SPACE.sample(200, rng=0)
    y, seconds = X.sum(axis=1).astype(float), 1.0 + X[:, 0]
    columns = {"val_loss": y, "val_acc": -y, "x-test": y, "none": y * np.nan, "s": seconds}
    return Table(SPACE, X, columns).write(tmp_path / "timed.csv")


@pytest.mark.parametrize(
    ("column", "more", "says"),
    [
        ("val_loss", {}, r"direction of 'val_loss': expected 'min'.*--minimize-target"),
        ("val_acc", {"direction": "min"}, "direction of 'val_acc': expected 'max'"),
        ("x-test", {}, "may not read 'x-test'"),
        ("none", {}, "'none': expected a value"),
        ("val_acc", {"workers_simulated": 4}, "--seconds COLUMN"),
        ("val_acc", {"workers_simulated": 0}, "simulated workers"),
    ],
)
def test_targets_that_a_search_may_not_have(timed, tmp_path, column, more, says):
    with pytest.raises(SettingError, match=says):
        run_searches(timed, SPACE, column, STRATEGIES, 10, 2, tmp_path / "out", **more)
    assert not (tmp_path / "out").exists()


def test_a_loss_and_a_clock_from_the_command_line(timed, tmp_path):
    ends = {}
    for workers in (1, 4):
        out = tmp_path / f"out-{workers}"
        args = f"--table {timed} --space nb201 --target val_loss --strategies random --budget 20"
        more = f"--seeds 2 --minimize-target --seconds s --workers-simulated {workers} --out {out}"
        done = CliRunner().invoke(app, ["bench", "search", *args.split(), *more.split(), "--json"])
        assert done.exit_code == 0, done.output
        found = json.loads(done.stdout)
        ends[workers] = [max(end) for end in found["ended_s"]]
        assert "Seconds: until all is trained" in (out / "summary.md").read_text()
        best = [min(values) for values in found["values"]]
        study = SearchStudy(
            tuple(SearchRecord("random", "", i, tuple(v)) for i, v in enumerate(found["values"])),
            out, 20, "min",
        )  # fmt: skip
        assert study.best_at("random", 20) == best
    assert all(2 * few < alone for few, alone in zip(ends[4], ends[1], strict=True))
