"""Runs and studies keep what their evidence has answered, and workers find it there."""

from __future__ import annotations

import numpy as np
from counted_evidence import NB201, Counted, asked
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline, make_union

import foretell as ft
from foretell.evidence import Ledger
from foretell.predictors import OnFeatures
from foretell.studies.predictors import run_predictors
from foretell.tables.table import Table


def test_a_study_with_workers_asks_each_row_once(tmp_path):
    """Three sizes, two seeds, two workers; and the same study made again asks nothing."""
    X = NB201.sample(120, rng=0)
    y = (X == 3).sum(axis=1) / 10 + np.random.default_rng(0).normal(0, 0.01, 120)
    table = Table(NB201, X, {"val_acc": y}).write(tmp_path / "table.csv")
    counted = Counted(NB201, file=tmp_path / "asked")
    models = {
        "hybrid": OnFeatures(NB201, Ridge(), ("one-hot", counted)),
        "pipeline": make_pipeline(make_union(ft.encodings.get("path", NB201), counted), Ridge()),
    }
    for out in ("one", "one", "other"):
        found = run_predictors(
            table, NB201, "val_acc", models, [20, 60], 2, tmp_path / out, workers=2
        )
        assert not found.failed
        answers = Ledger(tmp_path / out / "evidence").spent_on(counted.book)
        assert answers.answers == len(np.unique(NB201.row_key(X)))
    assert len(asked(counted.file)) == 2 * len(set(asked(counted.file)))  # in each folder


def test_a_run_keeps_evidence_in_its_folder_and_goes_on_with_it(tmp_path):
    space = ft.Space.from_choices({"a": [1, 2, 3, 4], "width": [2, 4, 8, 16]}, build)
    rng = np.random.default_rng(0)
    data = (rng.normal(size=(200, 4)).astype(np.float32), rng.integers(0, 2, 200))
    counted = Counted(file=tmp_path / "asked")
    run = ft.NAS(
        space=space,
        strategy=ft.strategies.get(
            "neural-predictor",
            n_train=5,
            batch=2,
            evidence=4,
            predictor=OnFeatures(space, Ridge(), ("one-hot", counted)),
        ),
        top_k=4,
        n_train=5,
        epochs=1,
        workers=0,
        seed=0,
        out=tmp_path / "run",
    )
    run.fit(data)
    told = asked(counted.file)
    assert 5 <= len(told) == len(set(told)) <= 5 + 2 * 4 + 2
    run.fit(data)
    assert asked(counted.file) == told
    (spent,) = Ledger(tmp_path / "run" / "evidence").spent
    assert spent.answers - spent.failed == len(told)


def build(decisions, input_shape, n_outputs):
    import torch

    return torch.nn.Sequential(
        torch.nn.Linear(input_shape[0], decisions["width"]),
        torch.nn.Linear(decisions["width"], n_outputs),
    )
