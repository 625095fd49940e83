"""`run_predictors`: the protocol, continuing, what is written."""

from __future__ import annotations

import csv
import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import BayesianRidge, Ridge

import foretell as ft
from foretell import _catalog, metrics
from foretell.errors import DataError, RunError, SettingError, UnknownNameError
from foretell.studies import _predictor_study
from foretell.studies._study import _Clock
from foretell.studies.predictors import PredictorRecord, PredictorStudy, run_predictors
from foretell.tables.table import Table

SPACE = ft.spaces.get("nb201")


@pytest.fixture
def table(tmp_path):
    X = SPACE.sample(300, rng=0)
    y = (X == 3).sum(axis=1) / 10 + np.random.default_rng(0).normal(0, 0.01, 300)
    return Table(SPACE, X, {"val_acc": y}).write(tmp_path / "table.csv")


def study(table, out, predictors=("rf",), sizes=(20, 50), seeds=2, **more):
    return run_predictors(table, SPACE, "val_acc", list(predictors), sizes, seeds, out, **more)


def test_scores_are_those_of_the_written_protocol(data_dir, tmp_path):
    path = data_dir / "nb201.csv.gz"
    found = run_predictors(
        path,
        SPACE,
        "cifar10_test_200ep",
        {"line": Ridge()},
        [78],
        [3],
        tmp_path / "out",
    )
    # the protocol of the data's description, written out
    table = Table.open(path, space=SPACE)
    y = table.column("cifar10_test_200ep")
    p = np.random.default_rng(3).permutation(15_625)
    test, train = p[:2000], p[2000 : 2000 + 78]
    predicted = Ridge().fit(table.X[train], y[train]).predict(table.X[test])
    assert found.values("line", 78) == [pytest.approx(metrics.kendall(y[test], predicted))]
    top = np.argsort(-predicted, kind="stable")[:10]
    assert found.values("line", 78, "best_at_k") == [y[test][top].max()]
    assert found.values("line", 78, "precision_at_k") == [
        metrics.precision_at_k(y[test], predicted, 10)
    ]
    # known figure of the table: the number of parameters ranks with a tau of about 0.585, with
    # ties left to chance; sizes with equal counts tie here
    assert 0.5 < found.values("n-params", 78)[0] < 0.72


def test_baselines_are_always_there_and_marked(table, tmp_path):
    found = study(table, tmp_path / "out")
    assert {r.predictor for r in found.records} >= {"rf", "mean", "n-params"}
    assert found.values("mean", 20) == [0.0, 0.0]
    assert "mean (baseline)" in found.summary()
    assert len(found.frame()["kendall"]) == len(found.records)


def test_small_table_gives_what_it_has_for_testing(table, tmp_path):
    found = study(table, tmp_path / "out", sizes=(20, 250))
    n = len(Table.open(table, space=SPACE))
    assert {r.n_test for r in found.records} == {n - 250}
    with pytest.raises(SettingError, match="at least 10 test rows are left"):
        study(table, tmp_path / "more", sizes=(n - 5,))


def test_an_interrupted_study_goes_on_where_it_was(table, tmp_path):
    seen = []

    def stop(progress):
        seen.append(str(progress))
        if progress.done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study(table, tmp_path / "out", on_progress=stop)
    assert "5/" in seen[-1]
    journal = tmp_path / "out" / "results.jsonl"
    assert len(journal.read_text().splitlines()) == 5
    with journal.open("a") as file:
        file.write('{"event":"cell","predict')  # a line torn by a crash
    calls = []
    again = study(table, tmp_path / "out", on_progress=calls.append)
    whole = study(table, tmp_path / "whole")
    assert len(calls) == len(whole.records) - 5
    scores = [(r.predictor, r.n_train, r.seed, r.kendall) for r in whole.records]
    assert [(r.predictor, r.n_train, r.seed, r.kendall) for r in again.records] == scores
    # all there: nothing is computed again, and more seeds only add
    study(table, tmp_path / "out", on_progress=pytest.fail)
    assert len(study(table, tmp_path / "out", seeds=3).records) == len(scores) * 3 // 2


def test_other_settings_in_the_same_folder_are_refused(table, tmp_path):
    study(table, tmp_path / "out", sizes=(20,))
    with pytest.raises(RunError, match="another direction"):
        study(table, tmp_path / "out", sizes=(20,), direction="min")
    other = tmp_path / "other.csv"
    other.write_text(table.read_text().replace("0.", "1.", 1))
    with pytest.raises(RunError, match="another table"):
        study(other, tmp_path / "out", sizes=(20,))


def test_training_sizes_can_be_added(table, tmp_path):
    n = len(Table.open(table, space=SPACE))
    first = study(table, tmp_path / "out", sizes=(20,))
    more = study(table, tmp_path / "out", sizes=(20, 50, 120))
    assert {r.n_test for r in more.records} == {n // 2}
    assert set(first.records) <= set(more.records)
    with pytest.raises(SettingError, match=rf"{n // 2} test rows of the study in .* 1 to"):
        study(table, tmp_path / "out", sizes=(n // 2 + 2,))
    whole = study(table, tmp_path / "whole", sizes=(50,))  # in one go: the same
    assert whole.values("rf", 50) == more.values("rf", 50)


def test_unseen_functions_are_scored_apart(table, tmp_path):
    found = run_predictors(table, SPACE, "val_acc", {"line": Ridge()}, [120], [1], tmp_path / "out")
    known = Table.open(table, space=SPACE)
    X, y = known.X, known.column("val_acc")
    p = np.random.default_rng(1).permutation(len(X))
    test, train = p[: len(X) // 2], p[len(X) // 2 :][:120]
    seen = set(SPACE.canonical(X[train]).tolist())
    new = np.array([key not in seen for key in SPACE.canonical(X[test]).tolist()])
    predicted = Ridge().fit(X[train], y[train]).predict(X[test])
    assert 0 < new.sum() < len(test)
    (score,) = found.values("line", 120, "kendall_unseen")
    assert score == pytest.approx(metrics.kendall(y[test][new], predicted[new]))
    assert score != found.values("line", 120)[0]
    assert "kendall_unseen" in found.summary()
    # where each row is its own function there is nothing to tell
    space = ft.Space.from_choices({"a": list(range(40)), "b": list(range(8))}, build=print)
    rows = space.sample(200, rng=0)
    own = Table(space, rows, {"val_acc": rows.sum(axis=1) * 1.0}).write(tmp_path / "own.csv")
    other = run_predictors(own, space, "val_acc", {"line": Ridge()}, [20], 1, tmp_path / "own")
    assert other.values("line", 20, "kendall_unseen") == []
    assert "kendall_unseen" not in other.summary()


class Killed(Ridge):
    """A predictor whose process is killed: each time, or unless a file is there."""

    def __init__(self, file=None):
        super().__init__()
        self.file = file

    def fit(self, X, y):
        if self.file is None or not Path(self.file).exists():
            if self.file is not None:
                Path(self.file).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().fit(X, y)


def test_a_killed_worker_stops_no_other_cell(table, tmp_path):
    models = {"always": Killed(), "once": Killed(str(tmp_path / "file")), "line": Ridge()}
    found = run_predictors(table, SPACE, "val_acc", models, [20], 2, tmp_path / "out", workers=2)
    assert len(found.values("once", 20)) == len(found.values("line", 20)) == 2
    assert found.values("once", 20) == found.values("line", 20)
    assert [r.predictor for r in found.failed] == ["always", "always"]
    assert all("killed twice" in r.error for r in found.failed)


def test_small_values_can_be_the_good_ones(table, tmp_path):
    low = study(table, tmp_path / "low", sizes=(50,), direction="min")
    y = Table.open(table, space=SPACE).column("val_acc")
    assert max(low.values("rf", 50)) > 0.5
    assert max(low.values("rf", 50, "best_at_k")) < np.median(y)
    assert min(low.values("rf", 50, "regret_at_k")) >= 0


class Breaks(Ridge):
    """A predictor that fails on small training sets."""

    def fit(self, X, y):
        if len(X) < 30:
            raise FloatingPointError("too few")
        return super().fit(X, y)


def test_a_failing_cell_is_recorded_shown_and_tried_again(table, tmp_path):
    found = run_predictors(table, SPACE, "val_acc", {"b": Breaks()}, [20, 50], 1, tmp_path / "out")
    assert found.values("b", 20) == []
    assert len(found.values("b", 50)) == 1
    assert "FloatingPointError: too few" in found.summary()
    assert "n/a" in found.summary()
    calls = []
    run_predictors(
        table, SPACE, "val_acc", {"b": Breaks()}, [20, 50], 1, tmp_path / "out",
        on_progress=calls.append,
    )  # fmt: skip
    assert len(calls) == 1


def test_what_is_written(table, tmp_path):
    found = study(table, tmp_path / "out", seeds=3)
    rows = list(csv.DictReader((tmp_path / "out" / "summary.csv").read_text().splitlines()))
    row = next(r for r in rows if r["predictor"] == "rf" and r["n_train"] == "50")
    mean, half = metrics.mean_interval(found.values("rf", 50))
    assert float(row["kendall"]) == pytest.approx(mean)
    assert float(row["kendall_half95"]) == pytest.approx(half)
    assert (tmp_path / "out" / "summary.md").read_text().strip() == found.summary().strip()
    assert f"{mean:.3f} ± {half:.3f}" in found.summary()
    assert json.loads((tmp_path / "out" / "run.json").read_text())["column"] == "val_acc"


def test_wrong_names_are_said_before_anything_runs(table, tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean 'rf'"):
        study(table, tmp_path / "out", predictors=["rff"])
    with pytest.raises(DataError, match="did you mean 'val_acc'"):
        run_predictors(table, SPACE, "val_acd", ["rf"], [20], 1, tmp_path / "out")
    for seeds in (0, [1, 1], [-1]):
        with pytest.raises(SettingError, match="seeds"):
            study(table, tmp_path / "out", seeds=seeds)
    assert not (tmp_path / "out").exists()


def test_workers_give_the_same_records(table, tmp_path):
    one = study(table, tmp_path / "one", sizes=(20,))
    two = study(table, tmp_path / "two", sizes=(20,), workers=2)
    assert [(r.predictor, r.seed, r.kendall) for r in one.records] == [
        (r.predictor, r.seed, r.kendall) for r in two.records
    ]


def test_all_means_each_that_is_installed(table, tmp_path, monkeypatch):
    few = [
        r for r in _catalog.KINDS["predictor"] if r.name in ("rf", "mean", "n-params", "n-flops")
    ]
    absent = replace(few[0], name="absent", packages=("no_such_package",), extra="trees")
    monkeypatch.setitem(_catalog.KINDS, "predictor", (*few, absent))
    found = study(table, tmp_path / "out", predictors=["all"], sizes=(20,), seeds=1)
    assert set(found.names) == {"rf", "mean", "n-params", "n-flops"}
    assert found.notes == ("absent was left out: install foretell[trees].",)
    assert found.notes[0] in found.summary()


class Wide(Ridge):
    """A standard deviation that is by far too wide."""

    def predict(self, X, return_std=False):
        mean = super().predict(X)
        return (mean, np.full(len(X), 1e6)) if return_std else mean


def test_calibration_is_that_of_the_intervals(table, tmp_path):
    models = {"bayes": BayesianRidge(), "wide": Wide(), "plain": Ridge()}
    found = run_predictors(table, SPACE, "val_acc", models, [50], [4], tmp_path / "out")
    one = Table.open(table, space=SPACE)
    p = np.random.default_rng(4).permutation(len(one))
    half = len(one) // 2
    y, test, train = one.column("val_acc"), p[:half], p[half : half + 50]
    mean, std = BayesianRidge().fit(one.X[train], y[train]).predict(one.X[test], return_std=True)
    inside = np.mean(np.abs(y[test] - mean) <= stats.norm.ppf(0.95) * std)
    assert found.values("bayes", 50, "coverage_90") == [pytest.approx(inside)]
    assert found.values("bayes", 50, "sharpness") == [pytest.approx(std.mean())]
    # everything is inside an interval without end: the mean of 1 - p over 0.05 to 0.95 is 1/2
    assert found.values("wide", 50, "calibration_error") == [pytest.approx(0.5)]
    assert found.values("plain", 50, "coverage_90") == []
    assert set(found.calibrated) == {"bayes", "wide", "mean"}
    assert "coverage_90" in found.summary()


def test_tuning_is_recorded_apart(table, tmp_path):
    found = study(table, tmp_path / "out", ["rf", "gp"], sizes=(8, 40), seeds=1, tuning=2)
    for record in found.records:
        tried = record.n_train == 40 and record.predictor in ("rf", "gp")
        assert record.trials == 2 * tried
        assert (record.tune_s > 0.001) == tried
    assert "tune_s" in found.summary()
    with pytest.raises(RunError, match="another tune"):
        study(table, tmp_path / "out", ["rf", "gp"], sizes=(8, 40), seeds=1)


def test_mutation_split(table, tmp_path):
    X = np.concatenate(list(SPACE.enumerate()))[::2]
    whole = Table(SPACE, X, {"val_acc": (X == 3).sum(axis=1) + X[:, 0] / 9}).write(
        tmp_path / "whole.csv"
    )
    found = study(whole, tmp_path / "out", sizes=(20,), seeds=1, split_by="mutation")
    assert {r.n_test for r in found.records} == {200}
    assert found.values("rf", 20)[0] > 0.3
    with pytest.raises(RunError, match="another split"):
        study(whole, tmp_path / "out", sizes=(20,), seeds=1)
    with pytest.raises(SettingError, match="uniform or mutation"):
        study(whole, tmp_path / "new", sizes=(20,), seeds=1, split_by="half")


def test_the_best_is_told_from_others_by_paired_tests():
    rng = np.random.default_rng(0)
    hard = rng.normal(0, 0.1, 5)  # of the seed, the same for all
    taus = {"a": 0.8 + hard, "b": 0.7 + hard + rng.normal(0, 0.01, 5), "c": 0.8 - hard}
    records = [
        PredictorRecord(name, "", 20, s, kendall=float(v))
        for name, values in taus.items()
        for s, v in enumerate(values)
    ]
    found = PredictorStudy((*records, PredictorRecord("d", "", 20, 0, error="no")), None)
    first = max(taus, key=lambda name: taus[name].mean())
    p = found.p_against_best(20)
    raw = {o: stats.ttest_rel(taus[first], taus[o]).pvalue for o in taus if o != first}
    small, large = sorted(raw.values())
    assert found.best(20) == first
    assert sorted(v for v in p.values() if np.isfinite(v)) == pytest.approx(
        [2 * small, max(large, 2 * small)]
    )
    assert np.isnan(p["d"])
    assert p["b"] < 0.01
    assert found.ranking.left_out == ["d"]
    assert found.ranking.blocks == 5


def test_pairs_are_of_the_same_seed_where_others_are_missing():
    hard = np.random.default_rng(0).normal(0, 0.1, 8)
    taus = {"a": 0.8 + hard, "b": 0.79 + hard + np.random.default_rng(1).normal(0, 0.002, 8)}
    missing = {("a", 2), ("b", 5)}
    records = [
        PredictorRecord(name, "", 20, s, error="no")
        if (name, s) in missing
        else PredictorRecord(name, "", 20, s, kendall=float(v))
        for name, values in taus.items()
        for s, v in enumerate(values)
    ]
    both = [0, 1, 3, 4, 6, 7]
    for order in (records, records[::-1]):
        found = PredictorStudy(tuple(order), None)
        (p,) = found.p_against_best(20).values()
        assert p == pytest.approx(stats.ttest_rel(taus["a"][both], taus["b"][both]).pvalue)
        assert p < 0.001


def test_baselines_that_nobody_asked_for_take_no_part():
    rng = np.random.default_rng(0)
    names = ("a", "b", *sorted(_predictor_study.baselines())[:3])
    taus = {name: np.linspace(0.8, 0.7, 5)[i] + rng.normal(0, 0.03, 8)
            for i, name in enumerate(names)}  # fmt: skip
    all_records = [
        PredictorRecord(name, "", 20, s, kendall=float(v))
        for name, values in taus.items()
        for s, v in enumerate(values)
    ]
    found = PredictorStudy(tuple(all_records), None)
    own = PredictorStudy(tuple(r for r in all_records if r.predictor in "ab"), None)
    assert sorted(found.ranking.names) == ["a", "b"]
    assert found.ranking.friedman == own.ranking.friedman
    assert found.ranking.difference == own.ranking.difference < 1
    assert found.p_against_best(20)["b"] == pytest.approx(own.p_against_best(20)["b"])
    assert all(np.isfinite(found.p_against_best(20)[name]) for name in names[2:])
    few = PredictorStudy(tuple(r for r in all_records if r.seed < 3), None)
    assert "So few blocks cannot tell any two of these apart" in few.summary()
    assert "3 seeds tell two apart only" in few.summary()
    alone = PredictorStudy(tuple(r for r in all_records if r.predictor != "a"), None)
    assert len(alone.ranking.names) == 4  # against a baseline is all that there is


def test_results_are_written_as_csv_and_parquet(table, tmp_path):
    found = study(table, tmp_path / "out", sizes=(20,), seeds=1)
    rows = list(csv.DictReader((tmp_path / "out" / "results.csv").read_text().splitlines()))
    assert [float(r["kendall"]) for r in rows] == [r.kendall for r in found.records]
    parquet = pytest.importorskip("pyarrow.parquet")
    frame = parquet.read_table(tmp_path / "out" / "results.parquet").to_pydict()
    assert frame == found.frame()


def test_time_left_counts_what_each_kind_takes():
    cells = [{"predictor": p, "seed": s} for s in range(3) for p in ("fast", "slow")]
    clock = _Clock(cells, workers=2)
    clock.tick(cells[0], 1.0)
    assert clock.left() == 5 * 1.0 / 2  # nothing is known of the slow ones
    clock.tick(cells[1], 9.0)
    assert clock.left() == (2 * 1.0 + 2 * 9.0) / 2
