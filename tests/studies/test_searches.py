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
from foretell.strategies.neural_predictor import NeuralPredictor
from foretell.studies.searches import (
    SearchRecord,
    SearchStudy,
    run_live_searches,
    run_searches,
)
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


@pytest.fixture
def timed(tmp_path):
    X = SPACE.sample(200, rng=0)
    y, seconds = X.sum(axis=1).astype(float), 1.0 + X[:, 0]
    columns = {"val_loss": y, "val_acc": -y, "x-test": y, "none": y * np.nan, "s": seconds}
    columns |= {"valLoss": y, "val_latency_ms": y}
    return Table(SPACE, X, columns).write(tmp_path / "timed.csv")


@pytest.mark.parametrize(
    ("column", "more", "says"),
    [
        ("val_loss", {}, r"direction of 'val_loss': expected 'min'.*--minimize-target"),
        ("val_acc", {"direction": "min"}, "direction of 'val_acc': expected 'max'"),
        ("valLoss", {}, "direction of 'valLoss': expected 'min'"),
        ("val_latency_ms", {}, "direction of 'val_latency_ms': expected 'min'"),
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


def test_networks_until_the_best_of_the_table_and_paired_tests(tmp_path):
    curve = [1.0, 2.0, 3.0, 4.0]
    records = [
        SearchRecord("a", "", 0, (1.0, 4.0, 2.0, 2.0)),
        SearchRecord("a", "", 1, (1.0, 2.0, 3.0, 3.5)),
        SearchRecord("b", "", 0, tuple(curve)),
        SearchRecord("b", "", 1, (0.0, 1.0, 1.0, 1.0)),
        SearchRecord("c", "", 0, error="ValueError: no"),
    ]
    found = SearchStudy(tuple(records), tmp_path, 4, settings={"optimum": 4.0})
    assert found.until_optimum("a") == [2, np.inf]
    assert found.optimum_words("b") == ["> 4", "> 4", "1 of 2"]
    assert found.ordered == ["a", "b", "c"]
    p = found.p_against_best(4)
    assert np.isnan(p["a"]), "the best itself"
    # differences 0 and 2.5: t = 1, p = 0.5 with one degree of freedom; "c" has no pair
    assert p["b"] == pytest.approx(0.5)
    assert np.isnan(p["c"])
    assert [r.strategy for r in found.failed] == ["c"]


def test_tuning_is_paid_for(tmp_path):
    records = (SearchRecord("a", "", 0, (1.0, 2.0, 3.0, 4.0)),)
    found = SearchStudy(records, tmp_path, 4, tuning={"a": 3})
    assert np.isnan(found.curves("a")[0, :3]).all()
    assert found.curves("a")[0, 3] == 1.0
    with pytest.raises(SettingError, match="tuning"):
        run_searches("t.csv", SPACE, "val", STRATEGIES, tuning={"other": 3})


def test_the_best_after_some_seconds_of_the_clock():
    record = SearchRecord("a", "", 0, (1.0, 3.0, 2.0), ended_s=(10.0, 30.0, 20.0))
    at = np.array([5.0, 10.0, 25.0, 30.0])
    assert record.over_time("max", at).tolist()[1:] == [1.0, 2.0, 3.0]
    assert np.isnan(record.over_time("max", at)[0])


def test_test_values_follow_the_best_row(table, tmp_path):
    found = study(table, tmp_path / "out", {"random": ft.strategies.get("random")},
                  test_column="test")  # fmt: skip
    for record, at in zip(found.records, found.tests_at("random"), strict=True):
        best = [max(v for v in record.values[:n] if v is not None) for n in (10, 20, 30)]
        assert at.tolist() == [-v for v in best]
        # and no other row was looked up
        known = [v for v in record.values if v is not None]
        firsts = {v for i, v in enumerate(known) if v >= max(known[: i + 1])}
        looked = {-test for test in record.tests if test is not None}
        assert looked <= firsts


def test_a_study_is_read_from_its_folder(table, tmp_path):
    from foretell.studies.searches import read

    found = study(table, tmp_path / "out", {"random": ft.strategies.get("random")})
    again = read(tmp_path / "out")
    assert [r.values for r in again.records] == [r.values for r in found.records]
    assert again.optimum == found.optimum
    (tmp_path / "out" / "results.jsonl").unlink()
    with pytest.raises(RunError, match="no results of a study of searches"):
        read(tmp_path / "out")


def test_settings_of_strategies_on_the_command_line(table, tmp_path):
    line = ["bench", "search", "--table", str(table), "--space", "nb201", "--target", "val"]
    line += ["--strategies", "regularized-evolution,random", "--budget", "12", "--seeds", "2"]
    out = tmp_path / "out"
    got = CliRunner().invoke(
        app,
        [*line, "--set", "regularized-evolution.population=5", "--count-tuning",
         "regularized-evolution=4", "--set", "regularized-evolution.sample_size=2", "--out", out],
    )  # fmt: skip
    assert got.exit_code == 0, got.output
    assert "population=5" in (out / "summary.md").read_text()
    assert "counted: regularized-evolution 4" in (out / "summary.md").read_text()
    assert "tuned with are counted" in (out / "report.html").read_text()
    wrong = CliRunner().invoke(app, [*line, "--set", "population=5", "--out", out])
    assert isinstance(wrong.exception, SettingError)
    assert "NAME.SETTING=VALUE" in str(wrong.exception)


CURVE = np.array([0.5, 0.8, 0.9])  # of a training of three epochs, times the best


@pytest.fixture
def curved(tmp_path):
    X = SPACE.sample(300, rng=0)
    X = X[np.unique(SPACE.row_key(X), return_index=True)[1]]
    y = (X == 3).sum(axis=1) + X.sum(axis=1) / 100
    columns = {f"val_{e}ep": share * y for e, share in zip((1, 2, 4), CURVE, strict=True)}
    columns |= {"test": y - 1, "s": 4.0 + 0 * y}
    return Table(SPACE, X, columns).write(tmp_path / "curved.csv")


def test_a_table_of_several_budgets_pays_by_the_epoch(curved, tmp_path):
    columns = {e: f"val_{e}ep" for e in (1, 2, 4)}
    halving = ft.strategies.get("successive-halving", min_epochs=1, eta=2)
    plain = ft.strategies.get("random")
    found = run_searches(
        curved, SPACE, columns, {"halving": halving, "random": plain}, 8, 2, tmp_path / "out",
        test_column="test", seconds_column="s",
    )  # fmt: skip
    assert found.settings["epochs"] == 4
    for record in found.of("random"):
        assert record.spent_epochs(4).tolist() == [4.0 * k for k in range(1, 9)]
    for record in found.of("halving"):  # 8 of 1 epoch, 4 to 2, 2 to 4
        assert record.spent_epochs(4)[-1] == 8 * 1 + 4 * 1 + 2 * 2
        assert max(record.ended_s) == pytest.approx(16.0)
        best = max(v for v, e in zip(record.values, record.epochs, strict=True) if e == 4)
        over = record.over_epochs("max", np.array([0.5, 16.0]), 4)
        assert np.isnan(over[0])
        assert over[1] == best
        test = record.over_epochs("max", np.array([16.0]), 4, tests=True)
        assert test[0] == pytest.approx(best / CURVE[-1] - 1)
        assert record.test == pytest.approx(best / CURVE[-1] - 1)
    assert "| epochs |" in found.summary().replace("  ", "")
    line = ["bench", "search", "--table", str(curved), "--space", "nb201", "--budget", "6"]
    line += ["--target", "1=val_1ep,2=val_2ep,4=val_4ep", "--strategies", "random", "--seeds", "2"]
    got = CliRunner().invoke(app, [*line, "--out", str(tmp_path / "cli"), "--json"])
    assert got.exit_code == 0, got.output
    assert len(json.loads(got.stdout)["values"][0]) == 6


def test_time_is_up_for_all_at_the_same_second(curved, tmp_path):
    found = run_searches(
        curved, SPACE, "val_4ep", {"random": ft.strategies.get("random")}, 50, 2,
        tmp_path / "out", seconds_column="s", workers_simulated=2, until_s=13.0,
    )  # fmt: skip
    for record in found.records:  # two of four seconds each, three times; the next end at 16
        assert record.ended_s == (4.0, 4.0, 8.0, 8.0, 12.0, 12.0)
    with pytest.raises(SettingError, match="column of seconds"):
        run_searches(curved, SPACE, "val_4ep", ["random"], 5, 1, tmp_path / "no", until_s=1.0)


def test_pareto_races_compare_fronts(tmp_path):
    X = np.concatenate(list(SPACE.enumerate()))[::25]
    params = SPACE.measure(X, ("params",))[:, 0]
    table = Table(SPACE, X, {"val": params / params.max()}).write(tmp_path / "table.csv")
    strategies = {
        "front": ft.strategies.get("regularized-evolution", population=10, sample_size=5),
        "random": ft.strategies.get("random"),
    }
    found = run_searches(
        table, SPACE, "val", strategies, 60, 3, tmp_path / "out", minimize=("params",)
    )
    assert "minimize=('params',)" in found.words_of("front")
    shares = found.front_shares("random", [1, 20, 60])
    assert shares.shape == (3, 3)
    assert (np.diff(shares, axis=1) >= 0).all()
    assert (shares <= 1 + 1e-12).all()

    # every row is on this front: areas by their steps, from the median on
    def area(rows):
        above = np.unique(rows - [np.median(params / params.max()), -params.max()], axis=0)
        above = above[(above > 0).all(axis=1)]
        return float(np.diff(above[:, 0], prepend=0.0) @ above[:, 1])

    F, _ = found.of("random")[0].objectives(1.0)
    everything = np.column_stack([params / params.max(), -params])
    assert shares[0, -1] == pytest.approx(area(F) / area(everything))
    assert "best front" in found.summary()


class Counted:
    """A made-up training whose seconds are known; counts its calls in a file, and may end them."""

    def __init__(self, path, most=10**9):
        self.path, self.most = path, most

    def __call__(self, x, epochs=None):
        calls = len(self.path.read_text()) if self.path.exists() else 0
        if calls >= self.most:
            raise KeyboardInterrupt
        self.path.write_text("." * (calls + 1))
        return ft.Result({"val": float(x.sum())}, seconds=2.0)


def test_live_searches_keep_what_was_trained(tmp_path):
    def run(name, most=10**9):
        live = ft.evaluator(Counted(tmp_path / f"{name}.calls", most), SPACE)
        return run_live_searches(live, ["random", "regularized-evolution"], 12, 2, tmp_path / name,
                                 name="made up", until_s=20.0)  # fmt: skip

    whole = run("whole")
    for record in whole.records:
        assert record.ended_s == tuple(2.0 * k for k in range(1, 11)), "twenty seconds"
    with pytest.raises(KeyboardInterrupt):
        run("broken", most=15)
    again = run("broken")
    assert [r.values for r in again.records] == [r.values for r in whole.records]
    calls = [len((tmp_path / f"{name}.calls").read_text()) for name in ("whole", "broken")]
    assert calls[0] == calls[1] == 40, "no network twice"
    assert not list((tmp_path / "whole" / "trainings").iterdir())
    # the same rows at equal seeds
    assert whole.of("random")[0].values != whole.of("random")[1].values


def test_a_race_of_real_trainings(tmp_path):
    line = ["bench", "search", "--data", "digits", "--epochs", "2", "--strategies", "random,asha"]
    line += ["--budget", "3", "--seeds", "1", "--out", str(tmp_path / "out"), "--json"]
    got = CliRunner().invoke(app, line)
    assert isinstance(got.exception, SettingError)
    assert "--space" in str(got.exception)
    got = CliRunner().invoke(app, [*line, "--space", "tabular"])
    assert got.exit_code == 0, got.output
    found = json.loads(got.stdout)
    tests = dict(zip(found["strategy"], found["test"], strict=True))
    assert 0.2 < tests["random"] <= 1
    asha = found["strategy"].index("asha")
    assert set(found["epochs"][asha]) == {1, 2} or set(found["epochs"][asha]) == {1}
    page = (tmp_path / "out" / "report.html").read_text()
    assert "by seconds that were measured" in page
