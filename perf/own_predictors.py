"""Predictors on own spaces, for `bench_own.py`: where options are numbers, and where words."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import bench_numbers
import numpy as np
from torch import nn
from train_own import SPACES, stages, table

import foretell as ft


class Line(NamedTuple):
    """A figure: of what, and whether its bound is kept."""

    what: str
    figure: str
    kept: bool = True


def logarithms(space: Any, X: np.ndarray) -> np.ndarray:
    """Of each decision's number, the mean where it does not apply, (n, d)."""
    active = space.active(X)
    columns = []
    for j, choice in enumerate(space.choices):
        logs = np.log(np.array([float(option) for option in choice.options]))[X[:, j]]
        columns.append(np.where(active[:, j], logs, logs[active[:, j]].mean()))
    return np.stack(columns, axis=1)


def perceptron(
    decisions: Mapping[str, Any], input_shape: tuple[int, ...], n_outputs: int
) -> nn.Module:
    """A network of `widths`."""
    sizes = [int(np.prod(input_shape)), *decisions.values(), n_outputs]
    layers: list[nn.Module] = [nn.Flatten()]
    for i, o in pairwise(sizes):
        layers += [nn.Linear(i, o), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def staged(decisions: Mapping[str, Any], input_shape: tuple[int, ...], n_outputs: int) -> nn.Module:
    """A network of `stages`."""
    return nn.Sequential(*stages(list(decisions.values())), nn.Flatten())


def trained(
    name: str, build: Callable[[Mapping[str, Any], tuple[int, ...], int], nn.Module]
) -> tuple[Any, np.ndarray, np.ndarray]:
    """A space, rows and accuracies of `train_own.py`."""
    choices = SPACES[name].choices
    space = ft.Space.from_choices(
        {decision: list(options) for decision, options in choices.items()},
        build=build,
        input_shape=(1, 8, 8),
        n_outputs=10,
    )
    with table(name).open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    X = np.array([[o.index(int(row[k])) for k, o in choices.items()] for row in rows])
    halves = np.array([[float(row["first_half"]), float(row["second_half"])] for row in rows])
    return space, X, halves.mean(axis=1)


TABLES: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "widths": (partial(trained, "widths", perceptron), (50, 172)),
    "stages": (partial(trained, "stages", staged), (50,)),
    "cnas": (bench_numbers.cnas, (50,)),
}


def numbers(folder: Path) -> Iterator[Line]:
    """18: predictors where options are numbers."""
    names = ("auto", "gp", "sk-gp", "sk-iso")
    for title, (loaded, sizes) in TABLES.items():
        if title == "cnas" and not (bench_numbers.FOLDER / "cnas_cifar10_mbv3.csv.gz").exists():
            yield Line(title, f"skipped: no cnas_cifar10_mbv3.csv.gz in {bench_numbers.FOLDER}")
            continue
        space, X, y, *_ = loaded()
        F = logarithms(space, X)
        for n in sizes:
            taus, fit_s = np.zeros((4, 5)), np.zeros(2)
            for draw in range(5):
                order = np.random.default_rng(draw).permutation(len(X))
                train, test = order[:n], order[n:]
                for i, name in enumerate(names[:2]):
                    model = ft.predictors.get(name, space=space, random_state=draw)
                    start = time.process_time()
                    model.fit(X[train], y[train])
                    fit_s[i] += (time.process_time() - start) / 5
                    taus[i, draw] = ft.metrics.kendall(y[test], model.predict(X[test]))
                for i, said in enumerate(bench_numbers.rivals(F, y, train, test, draw)[:2]):
                    taus[2 + i, draw] = ft.metrics.kendall(y[test], said)
            gaps = (taus[:2, None] - taus[None, 2:]).reshape(-1, 5)
            error = bench_numbers.error
            yield Line(
                f"{title}, n = {n}: tau of {', '.join(names)}",
                ", ".join(f"{tau.mean():.3f} ± {error(tau):.3f}" for tau in taus)
                + f"   (fits {fit_s[0]:.1f}, {fit_s[1]:.1f} s)",
                all(gap.mean() >= -error(gap) - 1e-9 for gap in gaps),
            )


def graphs(folder: Path) -> Iterator[Line]:
    """19: nothing is lost where options are words."""
    for name, before in BEFORE.items():
        file, column = GRAPHS[name]
        path = str(bench_numbers.FOLDER / file) if file.endswith(".gz") else file
        if path != file and not Path(path).exists():
            yield Line(name, f"skipped: no {path}")
            continue
        table = ft.Table.open(path, space=None if path == file else ft.spaces.get(name))
        X, y = table.X, table.column(column)
        for n, was in zip((20, 50, 172), before, strict=True):
            taus = np.zeros(8)
            for draw in range(8):
                order = np.random.default_rng(draw).permutation(len(X))
                test, train = order[:2000], order[2000 : 2000 + n]
                model = ft.predictors.get("gp", space=table.space, random_state=draw)
                found = model.fit(X[train], y[train]).predict(X[test])
                taus[draw] = ft.metrics.kendall(y[test], found)
            error = bench_numbers.error(taus)
            yield Line(
                f"{name}, n = {n}: tau of gp (before)",
                f"{taus.mean():.3f} ± {error:.3f} ({was:.3f})",
                taus.mean() >= was - 0.003 - error,
            )


GRAPHS = {
    "nb201": ("nb201.csv.gz", "cifar10_test_200ep"),
    "nb101": ("nb101_small.csv.gz", "val_acc"),
    "cora": ("nb-graph:cora", "val_perf"),
    "arxiv": ("nb-graph:arxiv", "val_perf"),
}
BEFORE = {  # of aa9dbbe
    "nb201": (0.717, 0.793, 0.857),
    "nb101": (0.344, 0.475, 0.606),
    "cora": (0.210, 0.299, 0.435),
    "arxiv": (0.427, 0.554, 0.665),
}
