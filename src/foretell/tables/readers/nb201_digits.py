"""The benchmark that comes with the package: small cells of nb201, really trained on digits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.spaces.nb201 import NB201
from foretell.tables.base import (
    Benchmark,
    Column,
    Peek,
    Reader,
    chosen,
    grouped,
    repeats_in_words,
    spread,
)
from foretell.tables.files import plain

FOLDER = Path(__file__).parents[1] / "shipped"
SCORES = FOLDER / "nb201_digits_scores.csv.gz"
SETTINGS: Mapping[str, Any] = {"channels": 4, "n_cells": 1, "input_shape": (1, 8, 8)}
_CURVES = ("train_loss", "val_loss", "val_acc")


class NB201DigitsFiles(Reader):
    """Lines of trainings: architecture, seed, test results, processor seconds, three curves.

    Cells of one function are there once. Each was trained twice, with two seeds, for 12 epochs on
    269 of the 1,797 digits of scikit-learn; 629 others are the validation split and 899 the test
    split. `val_loss` and `val_acc` are those of the last epoch. Beside it lie the zero-cost scores
    of the cells, a column each, NaN where there is none. `perf/make_nb201_digits.py` made both
    files, and can train any line again.
    """

    name = "nb201-digits"

    def matches(self, peek: Peek) -> bool:
        """Its header."""
        return peek.head.startswith(b"arch,seed,test_acc,test_loss,train_s,train_loss_1,")

    def read(self, path: Path, repeat: int | None) -> Benchmark:
        """All cells; `repeat` is the seed."""
        columns, _ = plain.read(path)
        space = NB201(**SETTINGS)
        X = space.from_str(columns["arch"].tolist())
        first, group = grouped(space, X)

        def told(values: NDArray[np.float64]) -> NDArray[np.float64]:
            return chosen(spread(group, values, len(first)), repeat)

        n = sum(name.startswith(f"{_CURVES[0]}_") for name in columns)
        curves = {
            name: told(np.stack([columns[f"{name}_{e}"] for e in range(1, n + 1)], axis=1))
            for name in _CURVES
        }
        names = ("test_acc", "test_loss", "train_s")
        test_acc, test_loss, train_s = told(np.stack([columns[c] for c in names], axis=1)).T
        costs = space.costs(X[first])
        found = {
            "val_acc": Column(curves["val_acc"][:, -1], "fraction", "max"),
            "val_loss": Column(curves["val_loss"][:, -1], "nats", "min"),
            "test_acc": Column(test_acc, "fraction", "max"),
            "test_loss": Column(test_loss, "nats", "min"),
            "train_s": Column(train_s, "s", "min"),
            "params": Column(costs.params.astype(np.float64), "parameters"),
            "flops": Column(costs.flops.astype(np.float64), "operations"),
        }
        if path == self.installed()[""] and SCORES.exists():
            scores, _ = plain.read(SCORES)
            where = {arch: i for i, arch in enumerate(scores.pop("arch").tolist())}
            at = [where.get(arch, -1) for arch in columns["arch"][first].tolist()]
            for name, values in scores.items():
                unit = "s" if name == "score_s" else ""
                found[name] = Column(np.append(values, np.nan)[at], unit)
        return Benchmark(
            self.name,
            "nb201",
            X[first],
            found,
            path.name,
            f"{repeats_in_words(int(np.bincount(group).max()), repeat)}, {n} epochs",
            curves,
            settings=SETTINGS,
        )

    def installed(self) -> dict[str, Path]:
        """The file that comes with the package."""
        return {"": FOLDER / "nb201_digits.csv.gz"}
