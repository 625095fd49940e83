"""Predictors of every family over two budgets: time to initialise, and time for each query."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foretell import _catalog, metrics, supernets
from foretell._threads import one_thread
from foretell.errors import SettingError
from foretell.evaluators.lookup import Lookup
from foretell.evidence import Curve, Evidence, Told, curves
from foretell.predictors import get
from foretell.predictors.omni import Omni
from foretell.spaces.base import Space
from foretell.studies._budget_study import FAMILIES, BudgetRecord, BudgetStudy, Family
from foretell.studies._splits import KINDS, Split, split
from foretell.studies._study import (
    Cell,
    OnProgress,
    collect,
    describe,
    open_whole,
    read_records,
    seeds_of,
    write_records,
    write_summary,
)
from foretell.tables.table import Table
from foretell.training.data import Data, load

__all__ = ["FAMILIES", "BudgetRecord", "BudgetStudy", "read", "run_budgets"]

N_TEST = 200
ABLATIONS = ("omni", "omni-no-curve", "omni-no-score", "omni-no-path")
WEIGHT_SHARING = ("one-shot", "rsws")
_JACOBIAN = ("jacob-cov", "jacob_cov", "jacov")  # what tables call it
_AGAIN = 1.1  # training rows of an update, in those of the first fit


def run_budgets(
    table_path: str | Path,
    space: Any,
    column: str,
    methods: Sequence[str] = ("all",),
    train_sizes: Sequence[int] = (5, 14, 42, 121, 347),
    epochs: Sequence[int] = (1, 2, 3, 6, 9),
    seeds: int | Sequence[int] = 5,
    out: str | Path = "bench-budgets",
    *,
    workers: int = 1,
    on_progress: OnProgress = None,
    direction: Literal["max", "min"] = "max",
    split_by: str = "uniform",
    seconds_column: str | None = None,
    data: Any = None,
    supernet_epochs: int | None = None,
) -> BudgetStudy:
    """Measure every family of predictors on a grid of two budgets.

    Initialisation is n trained networks, a query the first e epochs of the network that is asked
    for. Predictors of the catalog use the former; methods on curves the latter, those that learn
    from whole curves both; columns of the table that are named as proxies neither; OMNI all.
    A supernet is trained instead of networks, and asked by its weights: initialisation is its
    training, a query the evaluation of one network.
    With n or e of no use to a method it is measured once. Test rows are 200 of each seed.

    Every finished cell is a line of `out/results.jsonl`; the same call goes on.

    Args:
        table_path: file of the table, which has learning curves.
        space: of its architectures, or a catalog name; None where the table says it.
        column: what to predict, the result of whole trainings.
        methods: names of predictors, of methods on curves, of columns; "omni" and its ablations
            "omni-no-curve", "omni-no-score", "omni-no-path"; "ngb-path" for its trees; with `data`
            names of supernets; "all", of supernets "one-shot" and "rsws".
        train_sizes: rows of the grid, each at least 2.
        epochs: columns of the grid, each at least 1.
        seeds: a number of seeds from 0 on, or the seeds.
        out: folder of the study.
        workers: processes.
        on_progress: called with a `Progress` after each cell.
        direction: "min" where small values are good.
        split_by: "uniform" or "mutation".
        seconds_column: seconds of a whole training; None for "train_s" where it is there.
        data: that supernets learn, as `foretell.training.data.load` takes it; None for none.
        supernet_epochs: of their training; None for those of the methods.

    References: White et al., How Powerful are Performance Predictors in Neural Architecture
    Search?, NeurIPS 2021, sections 3 and 4.
    """
    kind = next((one for one in KINDS if one == split_by), None)
    if kind is None:
        raise SettingError("split", expected=" or ".join(KINDS), got=repr(split_by))
    table = open_whole(table_path, space)
    known = {name for name in table.curves if not name.startswith("test")}
    longest = max((table.curves[name].shape[1] for name in known), default=0)
    if not known or not epochs or not 1 <= min(epochs) <= max(epochs) <= longest:
        raise SettingError(
            "epochs seen", expected=f"numbers from 1 to {longest}, which the table has curves of",
            got=list(epochs),
        )  # fmt: skip
    seconds = seconds_column or ("train_s" if "train_s" in table.columns else None)
    values, sign = table.column(column), 1.0 if direction == "max" else -1.0
    there = np.isfinite(values)
    rows, y = np.flatnonzero(there), sign * values[there]
    most = max(train_sizes, default=0)
    n_test = min(N_TEST, len(y) // 2)
    extra = int(np.ceil(most * _AGAIN))
    if not train_sizes or min(train_sizes) < 2 or extra > len(y) - n_test:
        raise SettingError(
            f"training sizes for {len(y)} values",
            expected=f"2 to {int((len(y) - n_test) / _AGAIN)}",
            got=list(train_sizes),
        )
    names = _methods(methods, table, data is not None)
    for name, (_, _, least) in names.items():
        if least > max(epochs) and "all" not in methods:
            raise SettingError(f"{name} of {max(epochs)} epochs", expected=f"{least} at least")
    shared = None if data is None else Shared(load(data, seed=0), supernet_epochs)
    settings = {
        "study": "budgets",
        **describe(table_path, table),
        "column": column,
        "direction": direction,
        "split": kind,
        "seconds_column": seconds,
        "n_test": n_test,
    }
    if shared is not None:
        settings |= {"data": shared.data.digest, "supernet_epochs": supernet_epochs}
    listed = seeds_of(seeds)
    cells = [
        {"method": name, "family": family, "n_train": n, "epochs": e, "seed": seed}
        for seed in listed
        for name, (family, with_n, least) in names.items()
        for n in (train_sizes if with_n else (0,))
        for e in ([e for e in epochs if e >= least] if least else (0,))
    ]
    splits = {
        seed: split(kind, table.space, table.X[rows], y, extra, n_test, seed) for seed in listed
    }
    work = functools.partial(_measure, table, column, sign, seconds, longest, splits, shared)
    found = collect(out, settings, cells, work, workers, on_progress)
    study = BudgetStudy(tuple(BudgetRecord(**cell) for cell in found), Path(out), settings)
    write_summary(study.out, study.summary_rows(), study.summary())
    write_records(study.out, study.frame())
    return study


def read(out: str | Path) -> BudgetStudy:
    """What a study has found so far.

    Raises: RunError when `out` holds no study of budgets with a finished cell.
    """
    settings, found = read_records(
        Path(out),
        "budgets",
        BudgetRecord,
        ("method", "n_train", "epochs", "seed"),
        "bench predictors --epochs ...",
    )
    return BudgetStudy(tuple(found), Path(out), settings)


class Shared(NamedTuple):
    """What supernets learn, and how long."""

    data: Data
    epochs: int | None


def _methods(
    wanted: Sequence[str], table: Table, shared: bool
) -> dict[str, tuple[Family, bool, int]]:
    """Method -> family, whether it uses training rows, and the fewest epochs that it needs."""
    scores = [name for name in table.columns if name in _proxies()]
    lines = [
        name
        for name in curves.names()
        if any(reads in table.curves for reads in curves.get(name).reads)
    ]
    trees = find_spec("ngboost") is not None
    listed: list[str] = []
    for name in wanted:
        if name != "all":
            listed.append(name)
            continue
        listed += ["gp", "gp-wl", "bayes-lin", "rf", *lines, *scores]
        listed += ["ngb-path", *ABLATIONS] if trees else []
        listed += WEIGHT_SHARING if shared else []
    found: dict[str, tuple[Family, bool, int]] = {}
    for name in listed:
        if name in ABLATIONS:
            found[name] = "hybrid", True, int(name != "omni-no-curve")
        elif name in scores:
            found[name] = "zero-cost", False, 0
        elif name in curves.names():
            method = curves.get(name)
            found[name] = "curve", method.learns, max(method.least, 1)
        elif name.partition(":")[0] in supernets.names():
            if not shared:
                raise SettingError(
                    f"supernet {name!r} without data", expected="what it shall learn",
                    hint="--data NAME, the data that the table's networks were trained on",
                )  # fmt: skip
            found[name] = "weight-sharing", False, 0
        else:
            if name != "ngb-path":
                _catalog.row("predictor", name).load()  # unknown: say so at once
            found[name] = "model", True, 0
    return found


def _proxies() -> set[str]:
    return {*_catalog.names("proxy"), *_JACOBIAN, "synflow", "nwot", "grad_norm"}


def _measure(
    table: Table,
    column: str,
    sign: float,
    seconds: str | None,
    longest: int,
    splits: Mapping[int, Split],
    shared: Shared | None,
    cell: Cell,
) -> Cell:
    """The fields of `BudgetRecord` for one cell."""
    one, n, e, name = splits[cell["seed"]], cell["n_train"], cell["epochs"], cell["method"]
    X, y = one.X_train[:n], one.y_train[:n]
    more = one.X_train[: int(np.ceil(n * _AGAIN))], one.y_train[: int(np.ceil(n * _AGAIN))]
    with one_thread():
        start = time.process_time()
        model = _model(table, column, sign, name, e, cell["seed"], shared)
        model.fit(X, y)
        fitted = time.process_time()
        said = model.predict(one.X_test)
        done = time.process_time()
        if n and cell["seed"] == min(splits):
            model.fit(*more)
        again = time.process_time()
    whole = np.full(len(table), np.nan) if seconds is None else table.column(seconds)
    init = float(whole[table.find(X)].sum()) if n else 0.0
    query = float(np.nanmean(whole[table.find(one.X_test)])) * e / longest if e else 0.0
    said = np.where(np.isfinite(said), said, np.nanmin(said) - 1 if np.isfinite(said).any() else 0)
    return {
        "n_test": len(said),
        "kendall": metrics.kendall(one.y_test, said),
        "spearman": metrics.spearman(one.y_test, said),
        "init_s": (init if np.isfinite(init) else 0.0) + fitted - start,
        "query_s": (query if np.isfinite(query) else 0.0) + (done - fitted) / len(said),
        "fit_s": fitted - start,
        "update_s": again - done if n and cell["seed"] == min(splits) else None,
    }


def _model(
    table: Table, column: str, sign: float, name: str, e: int, seed: int, shared: Shared | None
) -> Any:
    """What fits rows and targets, and predicts rows."""
    space = table.space
    if shared is not None and name.partition(":")[0] in supernets.names():
        return _Inherited(space, name, shared, seed)
    if name in ABLATIONS:
        evidence: list[Evidence] = []
        score = next((one for one in _JACOBIAN if one in table.columns), None)
        if score is not None and name != "omni-no-score":
            evidence.append(Told(score, table))
        if "train_loss" in table.curves and name != "omni-no-curve" and e:
            metric = "val_loss" if "val_loss" in table.curves else "val_acc"
            evidence.append(Curve("sotl-e", Lookup(table, metric, _direction(metric)), e))
        encoding: Any = () if name == "omni-no-path" and evidence else "path"
        return Omni(space, tuple(evidence), encoding, random_state=seed)
    if name == "ngb-path":
        return get("ngb", space, encoding="path", random_state=seed)
    if name in curves.names():
        return _OnCurves(table, name, e)
    if name in table.columns and name in _proxies():
        return _Score(table, name)
    return get(name, space, random_state=seed)


def _direction(metric: str) -> Literal["max", "min"]:
    return "min" if "loss" in metric else "max"


class _OnCurves:
    """A method on curves as if it were a predictor of rows."""

    def __init__(self, table: Table, name: str, epochs: int) -> None:
        self.table, self.method, self.epochs = table, curves.get(name), epochs

    def fit(self, X: NDArray[Any], y: NDArray[np.float64]) -> None:
        if self.method.learns:
            self.method.fit(self._of(X), y)

    def predict(self, X: NDArray[Any]) -> NDArray[np.float64]:
        return self.method.predict(self._of(X), epochs=self.epochs)

    def _of(self, X: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
        at = self.table.find(X)
        return {k: v[at] for k, v in self.table.curves.items() if not k.startswith("test")}


class _Inherited:
    """A supernet as if it were a predictor of rows: what they do with its weights."""

    def __init__(self, space: Space, name: str, shared: Shared, seed: int) -> None:
        self.data = shared.data
        self.search = supernets.get(
            name, space=space, epochs=shared.epochs, random_state=seed, device="cpu", look=1
        )

    def fit(self, X: NDArray[Any], y: NDArray[np.float64]) -> None:
        """No row is trained for it; the supernet is."""
        self.search.train(self.data)

    def predict(self, X: NDArray[Any]) -> NDArray[np.float64]:
        return self.search.score(X)


class _Score:
    """A column of the table as if it were a predictor of rows."""

    def __init__(self, table: Table, name: str) -> None:
        self.table, self.name = table, name

    def fit(self, X: NDArray[Any], y: NDArray[np.float64]) -> None:
        """Nothing to learn."""

    def predict(self, X: NDArray[Any]) -> NDArray[np.float64]:
        return self.table.query(X, self.name, missing="nan")
