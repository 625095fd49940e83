"""`Lookup`: a table as an evaluator, with its curves, its seconds, and its test column."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from foretell.errors import ForetellError, SettingError
from foretell.evaluators.base import Evaluator, OnEpoch, Result
from foretell.spaces.base import Rows, Space
from foretell.tables.table import Table


@dataclass(frozen=True)
class Lookup(Evaluator):
    """Looks results up instead of training; an architecture without a value is a failed trial.

    With a learning curve it can be asked for any number of epochs, with columns of several
    budgets for those; then the seconds are the share e / E of those of the whole training.

    Args:
        table: where the results are.
        metric: what a search reads: a column, the name of a learning curve, or both; or epochs ->
            the column of trainings of that length, e.g. {4: "val_4ep", 108: "val_108ep"}.
        direction: "min" where small values are good.
        test_metric: the column that is read for the report alone.
        seconds: the column of the seconds of a whole training.

    Attributes:
        objective: the metric's name, with val_ before it unless it begins so.
        epochs: of a whole training; 0 without curves and budgets.

    Raises:
        SettingError: the metric is one of a test split, or the direction none.
        DataError: the table has no such column of numbers.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(2, rng=0)
    >>> curves = {"val_acc": [[0.2, 0.5], [0.3, 0.4]]}
    >>> lookup = Lookup(ft.Table(space, X, {"train_s": [60, 40]}, curves), "val_acc",
    ...                 seconds="train_s")
    >>> one = lookup.evaluate(X[0], epochs=1)
    >>> one.metrics, one.seconds, lookup.evaluate(X[0]).metrics
    ({'val_acc': 0.2}, 30.0, {'val_acc': 0.5})
    """

    table: Table
    metric: str | Mapping[int, str]
    direction: Literal["max", "min"] = "max"
    test_metric: str | None = None
    seconds: str | None = None

    def __post_init__(self) -> None:
        if self.direction not in ("max", "min"):
            raise SettingError("direction", expected="'max' or 'min'", got=repr(self.direction))
        for name in self._columns:
            if any(word.startswith("test") for word in words_of(name)):
                raise SettingError(
                    f"a search may not read {name!r}, which is for the report",
                    expected="a column of validation results",
                    hint="search by a validation column, and name this one as the test column",
                )
            if name not in self.table.curves:
                self.table.column(name)
        for named in (self.test_metric, self.seconds):
            if named is not None:
                self.table.column(named)

    @property
    def _columns(self) -> tuple[str, ...]:
        """Columns that a search reads, of the longest training last."""
        if isinstance(self.metric, str):
            return (self.metric,)
        return tuple(self.metric[epochs] for epochs in sorted(self.metric))

    @property
    def space(self) -> Space:  # type: ignore[override]  # not to be set here
        """The table's space."""
        return self.table.space

    @property
    def objective(self) -> str:  # type: ignore[override]  # as above
        """What the metric is called."""
        name = self._columns[-1]
        return name if name.startswith("val") else f"val_{name}"

    @property
    def epochs(self) -> int:  # type: ignore[override]  # as above
        """Of a whole training."""
        if not isinstance(self.metric, str):
            return max(self.metric)
        curve = self.table.curves.get(self.metric)
        return 0 if curve is None else curve.shape[1]

    def evaluate(
        self,
        x: Rows,
        seed: int = 0,
        *,
        epochs: int | None = None,
        state: Path | None = None,
        weights: Path | None = None,
        on_epoch: OnEpoch | None = None,
    ) -> Result:
        """What the table has of the row `x`, (d,), after so many epochs; the seed changes nothing.

        Raises: SettingError for a number of epochs that the table does not know.
        """
        reach = self.epochs if epochs is None else min(epochs, self.epochs or epochs)
        try:
            at = int(self.table.find(np.asarray(x)[None])[0])
            value = self._value(at, reach)
        except SettingError:
            raise
        except ForetellError as error:
            return Result(seed=seed, error=str(error))
        seconds = 0.0
        if self.seconds is not None:
            whole = float(self.table.column(self.seconds)[at])
            seconds = whole * (reach / self.epochs if self.epochs else 1.0)
        if not np.isfinite(value):
            why = f"{self.table.source} has no {self.objective!r} for this architecture"
            return Result(seed=seed, seconds=seconds, error=why, epochs=reach)
        curve = {
            name: values[at, :reach][np.isfinite(values[at, :reach])].tolist()
            for name, values in self.table.curves.items()
            if name.startswith(("val", "train"))
        }
        return Result({self.objective: value}, curve, seconds, seed, epochs=reach)

    def _value(self, at: int, epochs: int) -> float:
        if not isinstance(self.metric, str):
            if epochs not in self.metric:
                raise SettingError(
                    f"{self.table.source} has no trainings of {epochs} epochs",
                    expected=" or ".join(map(str, sorted(self.metric))),
                    hint="choose min_epochs and eta so that the rungs are these",
                )
            return float(self.table.column(self.metric[epochs])[at])
        curve = self.table.curves.get(self.metric)
        whole = epochs == self.epochs and self.metric in self.table.columns
        if curve is None or whole:
            return float(self.table.column(self.metric)[at])
        return float(curve[at, epochs - 1])

    def test(self, x: Rows, weights: Path | None = None) -> dict[str, float]:
        """The test column's value of the row, by its name; empty where there is none."""
        if self.test_metric is None:
            return {}
        value = float(self.table.query(np.asarray(x)[None], self.test_metric, missing="nan")[0])
        return {self.test_metric: value} if np.isfinite(value) else {}


def words_of(name: str) -> list[str]:
    """The words in the name of a column, in small letters.

    >>> words_of("cifar10_valLoss"), words_of("TopTestACC")
    (['cifar', 'val', 'loss'], ['top', 'test', 'acc'])
    """
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]
