"""Predictors against each other on a table: training sizes, seeds, intervals."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from foretell import _catalog, metrics
from foretell.errors import SettingError
from foretell.spaces.base import Rows, Space
from foretell.strategies.neural_predictor import unfitted
from foretell.studies._study import (
    Cell,
    OnProgress,
    Study,
    collect,
    describe,
    markdown,
    open_table,
    plus_minus,
    seeds_of,
    write_summary,
)

N_TEST = 2_000  # test rows, fewer where the table is small
TOP_K = 10


@dataclass(frozen=True)
class PredictorRecord:
    """One predictor, fitted on `n_train` rows and scored on the test rows of one seed.

    The correlations and `precision_at_k` are those of `foretell.metrics` with k = 10 and a step of
    0.1 for percent, 0.001 for fractions; `best_at_k` is the best true value among the 10 test rows
    with the highest prediction, `regret_at_k` what is missing from it to the best test row.
    `fit_s` and `query_s` are processor seconds of fitting and of predicting all `n_test` rows.
    """

    predictor: str
    settings: str
    n_train: int
    seed: int
    n_test: int = 0
    kendall: float | None = None
    spearman: float | None = None
    pearson: float | None = None
    sparse_kendall: float | None = None
    precision_at_k: float | None = None
    best_at_k: float | None = None
    regret_at_k: float | None = None
    fit_s: float | None = None
    query_s: float | None = None
    error: str = ""


SCORES = tuple(f.name for f in fields(PredictorRecord))[5:-1]


@dataclass(frozen=True)
class PredictorStudy(Study[PredictorRecord]):
    """What `run_predictors` found; `records` has one `PredictorRecord` a cell."""

    def values(self, predictor: str, n_train: int, score: str = "kendall") -> list[float]:
        """One score of a predictor at one training size, over the seeds that did not fail."""
        return [
            getattr(r, score)
            for r in self.records
            if r.predictor == predictor and r.n_train == n_train and not r.error
        ]

    def summary(self) -> str:
        """Markdown: Kendall's tau over training sizes, then all scores at the largest size."""
        sizes = sorted({r.n_train for r in self.records})
        names = list(dict.fromkeys(r.predictor for r in self.records))
        names.sort(key=lambda n: -np.mean(self.values(n, sizes[-1]) or [-2.0]))
        shown = {name: name + (" (baseline)" if _is_baseline(name) else "") for name in names}
        taus = markdown(
            ["predictor", *(f"n = {n}" for n in sizes)],
            [[shown[p], *(plus_minus(self.values(p, n)) for n in sizes)] for p in names],
        )
        scores = markdown(
            ["predictor", *SCORES],
            [
                [shown[p], *(plus_minus(self.values(p, sizes[-1], s)) for s in SCORES)]
                for p in names
            ],
        )
        n_seeds = len({r.seed for r in self.records})
        parts = [
            "Kendall's tau on the test rows",
            taus,
            f"All scores at n = {sizes[-1]}",
            scores,
            f"Mean ± half of the 95 % interval over {n_seeds} seed{'s' * (n_seeds > 1)}.",
        ]
        failed = [r for r in self.records if r.error]
        if failed:
            parts.append(
                f"{len(failed)} of {len(self.records)} cells failed, the first: "
                f"{failed[0].predictor}, n = {failed[0].n_train}, seed {failed[0].seed}: "
                f"{failed[0].error}"
            )
        return "\n\n".join(parts)

    def summary_rows(self) -> list[dict[str, Any]]:
        """One row for each predictor and size: mean and half interval of each score."""
        pairs = dict.fromkeys((r.predictor, r.n_train) for r in self.records)
        rows = []
        for predictor, n in pairs:
            row: dict[str, Any] = {"predictor": predictor, "n_train": n}
            row["seeds"] = len(self.values(predictor, n))
            for score in SCORES:
                known = self.values(predictor, n, score)
                mean, half = metrics.mean_interval(known) if known else (np.nan, np.nan)
                row |= {score: mean, f"{score}_half95": half}
            rows.append(row)
        return rows


def run_predictors(
    table_path: str | Path,
    space: Space | str,
    column: str,
    predictors: Sequence[str] | Mapping[str, Any],
    train_sizes: Sequence[int],
    seeds: int | Sequence[int] = 5,
    out: str | Path = "bench-predictors",
    *,
    workers: int = 1,
    on_progress: OnProgress = None,
    direction: Literal["max", "min"] = "max",
) -> PredictorStudy:
    """Fit each predictor on each training size and seed, and score its ranking of test rows.

    For seed s, p is the permutation `numpy.random.default_rng(s).permutation(m)` of the m rows
    with a value; the first 2,000 of p (fewer where the largest training size leaves fewer) are the
    test rows of all predictors and sizes, the next n the training rows. The baselines of the
    catalog (mean, number of parameters, ...) are always among the predictors.

    Every finished cell is a line of `out/results.jsonl`: an interrupted study goes on where it
    was, and a later call may name more predictors, sizes or seeds. `summary.csv` and `summary.md`
    are written at the end.

    Args:
        table_path: file of the table.
        space: of its architectures, or a catalog name.
        column: what to predict.
        predictors: catalog names; or label -> name or unfitted regressor on rows.
        train_sizes: training rows, each at least 1.
        seeds: a number of seeds from 0 on, or the seeds.
        out: folder of the study.
        workers: processes.
        on_progress: called with a `Progress` after each cell.
        direction: "min" where small values are good.

    Raises:
        RunError: `out` holds a study with another table, column or direction.
        SettingError: the table is too small for the training sizes.

    References: White et al., How Powerful are Performance Predictors in NAS?, NeurIPS 2021,
    section 3. Differs: one test set of 2,000 rows a seed instead of 200.
    """
    models: dict[str, Any] = (
        dict(predictors) if isinstance(predictors, Mapping) else {name: name for name in predictors}
    )
    baselines = [row.name for row in _catalog.PREDICTORS if "baseline" in row.tags]
    models |= {name: name for name in baselines if name not in models}
    for model in models.values():
        if isinstance(model, str):
            _catalog.row("predictor", model).load()  # unknown or not installed: say so at once
    table = open_table(table_path, space, column)
    values = table.column(column)
    there = np.isfinite(values)
    sign = 1.0 if direction == "max" else -1.0
    X, y = table.X[there], sign * values[there]
    sizes = list(dict.fromkeys(train_sizes))
    n_test = min(N_TEST, len(X) - max(sizes, default=0))
    if not sizes or min(sizes) < 1 or n_test < TOP_K:
        raise SettingError(
            f"training sizes for the {len(X)} values of {column!r}",
            expected=f"1 to {len(X) - TOP_K}, so that at least {TOP_K} test rows are left",
            got=list(train_sizes),
        )
    settings = {
        "study": "predictors",
        **describe(table_path, table),
        "column": column,
        "direction": direction,
        "n_test": n_test,
    }
    cells: list[Cell] = [
        {
            "predictor": label,
            "settings": "" if isinstance(model, str) else " ".join(repr(model).split()),
            "n_train": n,
            "seed": seed,
        }
        for seed in seeds_of(seeds)
        for label, model in models.items()
        for n in sizes
    ]
    work = functools.partial(_score, table.space, X, y, sign, n_test, models)
    found = collect(out, settings, cells, work, workers, on_progress)
    study = PredictorStudy(tuple(PredictorRecord(**cell) for cell in found), Path(out))
    write_summary(study.out, study.summary_rows(), study.summary())
    return study


def _score(
    space: Space,
    X: Rows,
    y: NDArray[np.float64],
    sign: float,
    n_test: int,
    models: Mapping[str, Any],
    cell: Cell,
) -> Cell:
    # the published protocol names this very generator, so it is not one of foretell._rng
    order = np.random.default_rng(cell["seed"]).permutation(len(X))
    test, train = order[:n_test], order[n_test : n_test + cell["n_train"]]
    model = unfitted(models[cell["predictor"]], space, cell["seed"])
    start = time.process_time()
    model.fit(X[train], y[train])
    fitted = time.process_time()
    predicted = np.asarray(model.predict(X[test]), dtype=np.float64)
    done = time.process_time()
    true = y[test]
    step = 0.1 if np.abs(y).max() > 1.5 else 0.001
    regret = metrics.regret(true, predicted, TOP_K)
    return {
        "n_test": n_test,
        "kendall": metrics.kendall(true, predicted),
        "spearman": metrics.spearman(true, predicted),
        "pearson": metrics.pearson(true, predicted),
        "sparse_kendall": metrics.sparse_kendall(true, predicted, step),
        "precision_at_k": metrics.precision_at_k(true, predicted, TOP_K),
        "best_at_k": float(sign * (true.max() - regret)),
        "regret_at_k": regret,
        "fit_s": fitted - start,
        "query_s": done - fitted,
    }


def _is_baseline(name: str) -> bool:
    return any(row.name == name and "baseline" in row.tags for row in _catalog.PREDICTORS)
