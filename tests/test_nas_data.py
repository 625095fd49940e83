"""Runs on data of every task, from the source to predictions of new files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foretell import NAS
from foretell.errors import SettingError
from foretell.winner.predict import predict

RNG = np.random.default_rng(0)
X = RNG.normal(size=(240, 4))


def run(folder: Path, source: object, **reading: object) -> NAS:
    nas = NAS("tabular", n_train=2, top_k=1, epochs=6, workers=0, out=folder, predictor="gp")
    return nas.fit(source, **reading)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    y = np.stack([X[:, 0] > 0, X[:, 1] > 0.3, X[:, 2] + X[:, 3] > 0], axis=1).astype(int)
    rows = [",".join(map(str, [*x, *labels])) for x, labels in zip(X, y, strict=True)]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["a,b,c,d,red,round,big", *rows]))
    return path


def test_several_labels(tmp_path: Path, table: Path) -> None:
    nas = run(tmp_path / "o", table, target="red,round,big")
    assert nas.history_.y.max() > 0.8
    assert nas.best_metrics_["test_map"] > 0.8
    assert "test_exact" in " ".join(nas.summary_lines_)
    rows = predict(tmp_path / "o" / "best", table)
    truth = [[name for name, on in zip(("red", "round", "big"), (x[0] > 0, x[1] > 0.3,
             x[2] + x[3] > 0), strict=True) if on] for x in X]  # fmt: skip
    right = [list(row.labels) == labels for row, labels in zip(rows, truth, strict=True)]
    assert np.mean(right) > 0.7
    page = nas.report_.read_text()
    assert "3 labels, rows of each split" in page
    assert "4 columns and what they were taken for" in page


def test_the_same_numbers_as_classes_and_as_values(tmp_path: Path) -> None:
    y = np.round(10 * X[:, 0]).astype(int)
    numbers = run(tmp_path / "r", (X, y))
    assert "val_r2" in numbers.best_metrics_
    classes = run(tmp_path / "c", (X, X[:, 0] > 0), task="regression")
    assert "val_r2" in classes.best_metrics_


def test_a_network_that_says_one_class_only_is_told(tmp_path: Path) -> None:
    y = np.array(["ok"] * 228 + ["defect"] * 12)
    nas = run(tmp_path / "o", (RNG.normal(size=(240, 4)), y))
    said = " ".join(nas.summary_lines_)
    assert "always saying 'ok': val_acc 94." in said
    assert "no more accurate than that (balanced accuracy" in said
    page = nas.report_.read_text()
    assert "Class by class" in page
    assert "Always saying ok would be right in 94." in page
    lines = (tmp_path / "o" / "confusion.csv").read_text().splitlines()
    assert lines[0] == "class,said defect,said ok"
    assert sum(int(n) for line in lines[1:] for n in line.split(",")[1:]) == 36


@pytest.mark.parametrize("how", [{"balance": True}, {"sampler": "balanced"}])
def test_rare_classes_count_where_they_are_asked_to(tmp_path: Path, how: dict[str, Any]) -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(900, 4))
    y = (X[:, 0] + rng.normal(size=900) > 2.6).astype(int)  # some 3 %
    plain = run(tmp_path / "a", (X, y))
    nas = NAS("tabular", n_train=2, top_k=1, epochs=6, workers=0, out=tmp_path / "b",
              predictor="gp", metric="val_balanced_acc", recipe=how)  # fmt: skip
    nas.fit((X, y))
    assert (nas.summary_["objective"], nas.summary_["majority"]["label"]) == (
        "val_balanced_acc",
        "0",
    )
    assert nas.history_.y.max() == nas.best_metrics_["val_balanced_acc"]
    gain = nas.best_metrics_["test_balanced_acc"] - plain.best_metrics_["test_balanced_acc"]
    assert gain > 0.15
    said = " ".join(nas.summary_lines_)
    assert ", test_balanced_acc 50.00 %" in said  # of always saying the other
    assert "than that (balanced" not in said


def test_a_network_that_is_no_better_in_what_was_searched_for_is_told(tmp_path: Path) -> None:
    y = np.array(["ok"] * 228 + ["defect"] * 12)
    nas = NAS("tabular", n_train=2, top_k=0, epochs=1, workers=0, out=tmp_path / "o",
              metric="val_balanced_acc")  # fmt: skip
    said = " ".join(nas.fit((RNG.normal(size=(240, 4)), y)).summary_lines_)
    assert "is no better than that (balanced accuracy 50.0 %): try more epochs" in said


@pytest.mark.parametrize("metric", ["val_rmse", "acc1", "val_map"])
def test_a_metric_that_the_task_has_not(tmp_path: Path, metric: str) -> None:
    with pytest.raises(SettingError, match=r"metric: expected one of val_acc, val_balanced_acc"):
        NAS("tabular", metric=metric, out=tmp_path / "o").fit("digits")


def test_fit_takes_what_scikit_learn_has(tmp_path: Path) -> None:
    y = (X[:, 0] > 0).astype(int)
    runs = [
        NAS("tabular", n_train=2, top_k=0, epochs=1, workers=0, out=tmp_path / str(i)).fit(*given)
        for i, given in enumerate([((X, y),), (X, y), ({"data": X, "target": y, "name": "a"},)])
    ]
    found = [one.best_metrics_ for one in runs]
    assert found[0] == found[1] == found[2]
