"""The study of two budgets: what is measured where, who wins, and what is recommended."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

import foretell as ft
from foretell import metrics
from foretell.cli import app
from foretell.errors import ForetellError, SettingError
from foretell.studies import budgets
from foretell.studies._splits import split
from foretell.training.data import load

METHODS = ("bayes-lin", "early-stop-acc", "sotl-e", "lcsvr")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    out = tmp_path_factory.mktemp("study")
    return budgets.run_budgets("nb201-digits", None, "val_acc", METHODS, (10, 30), (1, 6), 2, out)


def test_every_method_is_measured_where_it_differs(study):
    cells = {(r.method, r.n_train, r.epochs) for r in study.records}
    assert {c for c in cells if c[0] == "bayes-lin"} == {("bayes-lin", n, 0) for n in (10, 30)}
    assert {c for c in cells if c[0] == "sotl-e"} == {("sotl-e", 0, e) for e in (1, 6)}
    assert {c[1:] for c in cells if c[0] == "lcsvr"} == {(n, e) for n in (10, 30) for e in (1, 6)}
    assert not [r for r in study.records if r.error]


def test_a_cell_is_what_the_method_says_by_hand(study):
    table = ft.Table.open("nb201-digits")
    y = table.column("val_acc")
    n_test = study.settings["n_test"]
    one = split("uniform", table.space, table.X, y, 33, n_test, 1)
    at = table.find(one.X_test)
    want = metrics.kendall(one.y_test, -table.curve("train_loss")[at, 5])
    (record,) = [r for r in study.records if (r.method, r.epochs, r.seed) == ("sotl-e", 6, 1)]
    assert record.kendall == pytest.approx(want)
    assert record.query_s == pytest.approx(table.column("train_s")[at].mean() / 2, rel=0.05)
    (model,) = [r for r in study.records if (r.method, r.n_train, r.seed) == ("bayes-lin", 30, 1)]
    assert model.init_s > table.column("train_s")[table.find(one.X_train[:30])].sum()


def test_winners_and_recommendations(study):
    best, tau = study.winner(30, 6)
    assert tau == max(study.mean(m, 30, 6) for m in METHODS)
    assert study.mean("bayes-lin", 30, 6) == study.mean("bayes-lin", 30, 0)  # no use for epochs
    free = study.recommend(np.inf, np.inf)
    assert free[0][0] == max(free, key=lambda one: one[3])[0]
    assert {one[0] for one in study.recommend(1.0, np.inf)} <= {"early-stop-acc", "sotl-e"}
    assert study.recommend(0.0, 0.0) == []
    assert best in study.summary()


def test_it_is_read_and_continued(study):
    again = budgets.read(study.out)
    assert sorted(map(str, again.records)) == sorted(map(str, study.records))
    more = budgets.run_budgets(
        "nb201-digits", None, "val_acc", ("sotl-e",), (10,), (1, 3), 2, study.out
    )
    assert [r.kendall for r in more.records if r.epochs == 1] == [
        r.kendall for r in study.records if (r.method, r.epochs) == ("sotl-e", 1)
    ]


def test_from_the_command_line(tmp_path):
    args = ["bench", "predictors", "--predictors", "sotl-e,bayes-lin", "--train-sizes", "10"]
    done = CliRunner().invoke(
        app, [*args, "--epochs", "1,3", "--seeds", "1", "--out", str(tmp_path / "s")]
    )
    assert done.exit_code == 0, done.output
    page = (tmp_path / "s" / "report.html").read_text()
    assert "<svg" in page
    assert CliRunner().invoke(app, ["report", str(tmp_path / "s")]).exit_code == 0
    assert (tmp_path / "s" / "report.html").read_text() == page
    asked = ["recommend", "--init-time", "1m", "--query-time", "10s", "--out", str(tmp_path / "s")]
    told = CliRunner().invoke(app, asked)
    assert told.exit_code == 0, told.output
    assert told.stdout.split()[0] in ("sotl-e", "bayes-lin")
    wrong = CliRunner().invoke(app, [*asked[:2], "soon", *asked[3:]])
    assert wrong.exit_code != 0


def test_supernets_join_with_what_their_training_costs(tmp_path):
    """Nothing of the table is trained for them: their time is their own."""
    digits = load("digits", fractions=(0.2, 0.05, 0.75))
    study = budgets.run_budgets(
        "nb201-digits", None, "val_acc", ("rsws", "few-shot:rsws"), (10, 30), (1, 3), 1, tmp_path,
        data=digits, supernet_epochs=1,
    )  # fmt: skip
    assert not [r for r in study.records if r.error]
    assert {(r.method, r.family, r.n_train, r.epochs) for r in study.records} == {
        ("rsws", "weight-sharing", 0, 0), ("few-shot:rsws", "weight-sharing", 0, 0)
    }  # fmt: skip
    table = ft.Table.open("nb201-digits")
    one = split("uniform", table.space, table.X, table.column("val_acc"), 33, 200, 0)
    search = ft.supernets.get("rsws", space=table.space, epochs=1, random_state=0, look=1)
    want = metrics.kendall(one.y_test, search.train(digits).score(one.X_test))
    record = study.records[0] if study.records[0].method == "rsws" else study.records[1]
    assert record.kendall == pytest.approx(want)
    assert 0 < record.query_s < record.init_s == record.fit_s
    with pytest.raises(ForetellError, match="without data"):
        budgets.run_budgets("nb201-digits", None, "val_acc", ("rsws",), (10,), (1,), 1, tmp_path)


def test_wrong_grids(tmp_path):
    with pytest.raises(SettingError, match="numbers from 1 to 12"):
        budgets.run_budgets("nb201-digits", None, "val_acc", METHODS, (10,), (13,), 1, tmp_path)
    with pytest.raises(SettingError, match="training sizes"):
        budgets.run_budgets("nb201-digits", None, "val_acc", METHODS, (9000,), (1,), 1, tmp_path)


def test_a_method_has_no_cells_before_the_epochs_that_it_needs(tmp_path):
    small = "nb201-digits", None, "val_acc"
    found = budgets.run_budgets(*small, ("lce-m", "sotl-e"), (10,), (1, 3), 1, tmp_path)
    cells = {(one.method, one.epochs) for one in found.records}
    assert cells == {("lce-m", 3), ("sotl-e", 1), ("sotl-e", 3)}
    with pytest.raises(SettingError, match="lce-m of 2 epochs: expected 3 at least"):
        budgets.run_budgets(*small, ("lce-m",), (10,), (1, 2), 1, tmp_path / "no")
