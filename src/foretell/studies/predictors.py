"""Predictors against each other on a table: training sizes, seeds, intervals, tests."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np

from foretell import _catalog
from foretell.errors import SettingError
from foretell.runs.folder import settings_of
from foretell.spaces.base import Space
from foretell.studies._predictor_study import PredictorStudy, baselines
from foretell.studies._scoring import (
    TOP_K,
    PredictorRecord,
    score,
    sparse_step,
)
from foretell.studies._splits import KINDS, Kind, split
from foretell.studies._study import (
    Cell,
    OnProgress,
    collect,
    describe,
    open_table,
    read_records,
    seeds_of,
    write_records,
    write_summary,
)
from foretell.studies._tuning import Tuning
from foretell.typed import Reader

__all__ = ["PredictorRecord", "PredictorStudy", "read", "run_predictors"]

N_TEST: Mapping[Kind, int] = {"uniform": 2_000, "mutation": 200}  # fewer where a table is small
ALL = "all"


@dataclass(frozen=True)
class StudyRecord:
    """run.json of a study of predictors."""

    study: str = ""
    table: str = ""
    sha256: str = ""
    space: str = ""
    space_size: int | None = None
    column: str = ""
    direction: Literal["max", "min"] = "max"
    split: Kind | None = None
    tune: str | None = None
    n_test: int | None = None


def run_predictors(
    table_path: str | Path,
    space: Space | str | None,
    column: str,
    predictors: Sequence[str] | Mapping[str, Any] = (ALL,),
    train_sizes: Sequence[int] = (20, 78, 172, 400),
    seeds: int | Sequence[int] = 5,
    out: str | Path = "bench-predictors",
    *,
    workers: int = 1,
    on_progress: OnProgress = None,
    direction: Literal["max", "min"] = "max",
    split_by: str = "uniform",
    tuning: str | int | None = None,
) -> PredictorStudy:
    """Fit each predictor on each training size and seed, and score its ranking of test rows.

    For seed s, p is the permutation `numpy.random.default_rng(s).permutation(m)` of the m rows
    with a value; the first 2,000 of p are the test rows of all predictors and sizes, the next n the
    training rows. Of a table with fewer than 4,000 rows half are for testing, or what the largest
    training size leaves; a study that is continued keeps its number. With `split_by` "mutation"
    they are mutants of a few good rows instead, 200 of them for testing: `studies._splits.split`.
    The baselines of the catalog (mean, number of parameters, ...) are always among the predictors.

    Every finished cell is a line of `out/results.jsonl`: an interrupted study goes on where it
    was, and a later call may name more predictors, sizes or seeds. At the end `out` has
    `results.csv` (and .parquet, with pyarrow), `summary.csv` and `summary.md`;
    `foretell.report.write(out)` makes a page of it.

    Args:
        table_path: file of the table, or name of an installed benchmark such as "nb-graph:cora".
        space: of its architectures, or a catalog name; None where the table says it.
        column: what to predict.
        predictors: catalog names, "all" for each that is installed; or label -> name or unfitted
            regressor on rows.
        train_sizes: training rows, each at least 1.
        seeds: a number of seeds from 0 on, or the seeds.
        out: folder of the study.
        workers: processes, each with one thread.
        on_progress: called with a `Progress` after each cell.
        direction: "min" where small values are good.
        split_by: "uniform" or "mutation".
        tuning: random search of settings before each fit, by cross-validation on its training
            rows: a number of trials, or processor time such as "60s"; None for none. Predictors
            say their `ranges`; those without stay as they are.

    Raises:
        RunError: `out` holds a study with another table, column, direction, split or tuning.
        SettingError: the table is too small for the training sizes.

    References: White et al., How Powerful are Performance Predictors in NAS?, NeurIPS 2021,
    section 3. Differs: one test set of 2,000 rows a seed instead of 200.
    """
    models, notes = _models(predictors)
    limit = Tuning.of(tuning)
    kind = next((one for one in KINDS if one == split_by), None)
    if kind is None:
        raise SettingError("split", expected=" or ".join(KINDS), got=repr(split_by))
    table = open_table(table_path, space, column)
    values = table.column(column)
    there = np.isfinite(values)
    sign = 1.0 if direction == "max" else -1.0
    X, y = table.X[there], sign * values[there]
    sizes = list(dict.fromkeys(train_sizes))
    most = max(sizes, default=0)
    kept = _n_test(Path(out))
    n_test = kept or min(N_TEST[kind], max(len(X) // 2, TOP_K), len(X) - most)
    if kept and most > len(X) - kept:
        raise SettingError(
            f"training sizes for the {kept} test rows of the study in {out}",
            expected=f"1 to {len(X) - kept}",
            got=list(train_sizes),
            hint="choose another folder for larger ones: --out",
        )
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
        "split": None if kind == "uniform" else kind,  # as older studies have it
        "tune": limit and str(limit),
        "n_test": n_test,
    }
    listed = seeds_of(seeds)
    cells: list[Cell] = [
        {
            "predictor": label,
            "settings": "" if isinstance(model, str) else " ".join(repr(model).split()),
            "n_train": n,
            "seed": seed,
        }
        for seed in listed
        for label, model in models.items()
        for n in sizes
    ]
    splits = {seed: split(kind, table.space, X, y, most, n_test, seed) for seed in listed}
    work = functools.partial(score, table.space, splits, sparse_step(y), sign, models, limit)
    found = collect(out, settings, cells, work, workers, on_progress)
    reader = Reader(Path(out) / "results.jsonl")
    records = tuple(reader.record(PredictorRecord, cell) for cell in found)
    study = PredictorStudy(records, Path(out), settings, notes)
    write_summary(study.out, study.summary_rows(), study.summary())
    write_records(study.out, study.frame())
    return study


def _n_test(out: Path) -> int | None:
    """Test rows of the study that is continued, if there is one."""
    if not (out / "run.json").is_file():
        return None
    found = settings_of(out).get("n_test")
    return found if isinstance(found, int) and found > 0 else None


def read(out: str | Path) -> PredictorStudy:
    """What a study has found so far, finished or interrupted, by seed and training size.

    Raises: RunError when `out` holds no study of predictors with a finished cell.
    """
    out = Path(out)
    settings, found = read_records(
        out,
        "predictors",
        PredictorRecord,
        ("predictor", "settings", "n_train", "seed"),
        "bench predictors",
        StudyRecord,
    )
    records = sorted(found, key=lambda record: (record.seed, record.n_train))
    return PredictorStudy(tuple(records), out, settings)


def _models(
    predictors: Sequence[str] | Mapping[str, Any],
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Label -> catalog name or regressor, and a note on what is not installed."""
    notes: list[str] = []
    models: dict[str, Any] = {}
    if isinstance(predictors, Mapping):
        models = dict(predictors)
    else:
        for name in predictors:
            if name != ALL:
                models[name] = name
                continue
            for row in _catalog.KINDS["predictor"]:
                if all(find_spec(package) for package in row.packages):
                    models[row.name] = row.name
                else:
                    notes.append(f"{row.name} was left out: install foretell[{row.extra}].")
    models |= {name: name for name in sorted(baselines()) if name not in models}
    for model in models.values():
        if isinstance(model, str):
            _catalog.row("predictor", model).load()  # unknown or not installed: say so at once
    return models, tuple(notes)
