"""`Curve`: the start of a learning curve as evidence, read from a table or trained."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from foretell.errors import DataError, SettingError
from foretell.evidence import curves
from foretell.evidence.base import Evidence, Paid
from foretell.evidence.parts.identity import digest
from foretell.spaces.base import Rows


class Begun(Protocol):
    """What an evaluator says of a training that was begun."""

    @property
    def curve(self) -> Mapping[str, list[float]]:
        """Metric -> a value an epoch."""

    @property
    def seconds(self) -> float:
        """What it has cost."""

    @property
    def error(self) -> str:
        """Why there is no curve, or ""."""


class Trains(Protocol):
    """What trains a row for some epochs, or knows how that went: any evaluator."""

    def evaluate(
        self, x: Rows, seed: int = 0, *, epochs: int | None = None, state: Path | None = None
    ) -> Begun:
        """Train the row up to `epochs`, going on from `state`."""

    def identity(self) -> Any:
        """All that a curve depends on beside row and seed."""


class Curve(Evidence):
    """What the first epochs of a row's training tell, by a method of `foretell.evidence.curves`.

    A table with curves costs the share of its seconds; a `Trainer` trains, and keeps each network
    half-way in the ledger's folder: more epochs, asked by another `Curve` of the same trainer and
    seed, go on from there, and so does `trainer.evaluate(x, seed, state=curve.state(x))`.

    Args:
        method: a name of `foretell.curves.names()` that needs no fit; None for the values
            themselves, `epochs` features, for a regressor that learns what they mean.
        evaluator: a `Lookup` of a table with curves, a `Trainer`, or an own one.
        epochs: how many are seen.
        metric: the curve that is read; None for the first that the method reads.
        seed: of the trainings.
        space: the space whose rows it sees; None to have the one of its predictor.

    References: White et al., How Powerful are Performance Predictors in NAS?, NeurIPS 2021; Baker
    et al. 2017 (LcSVR: an SVR on `Curve(None)`).

    >>> import foretell as ft
    >>> from foretell.evaluators.lookup import Lookup
    >>> table = ft.Table.open("nb201-digits")
    >>> curve = Curve("sotl-e", Lookup(table, "val_acc", seconds="train_s"), 3, space=table.space)
    >>> bool((curve.values(table.X[:4])[:, 0] == -table.curve("train_loss")[:4, 2]).all())
    True
    """

    version = "1"
    free = ("evaluator",)  # `depends_on` says what of it counts

    def __init__(
        self,
        method: str | None = "sotl-e",
        evaluator: Any = None,
        epochs: int = 10,
        metric: str | None = None,
        seed: int = 0,
        space: Any = None,
    ) -> None:
        self.method = method
        self.evaluator = evaluator
        self.epochs = epochs
        self.metric = metric
        self.seed = seed
        self.space = space

    @property
    def features(self) -> tuple[str, ...]:  # type: ignore[override]  # they depend on the method
        """The method's name, or a name for each epoch."""
        if self.method is not None:
            return (self.method,)
        return tuple(f"{self.metric or 'val_acc'}_{e}" for e in range(1, self.epochs + 1))

    def depends_on(self) -> Any:
        """What the evaluator says that curves depend on."""
        identity = getattr(self._evaluator, "identity", None)
        return self._evaluator if identity is None else identity()

    def state(self, x: Rows) -> Path:
        """The file of the row's half-trained network, (d,)."""
        key = digest([self.depends_on(), self.seed])[:16]
        row = int(self._space.row_key(self._rows(np.asarray(x)[None]))[0])
        return self.ledger.made().folder / "states" / key / f"{row}.safetensors"

    def compute(self, X: Rows) -> Paid:
        """Trains, or looks up, one row."""
        path = self.state(X[0])
        path.parent.mkdir(parents=True, exist_ok=True)
        start = time.perf_counter()
        begun = self._evaluator.evaluate(X[0], self.seed, epochs=self.epochs, state=path)
        took = time.perf_counter() - start
        if begun.error:
            raise DataError(f"no curve: {begun.error}")
        found = {
            name: np.array(values, dtype=np.float64)[None, : self.epochs]
            for name, values in begun.curve.items()
            if len(values)
        }
        seconds = took if path.exists() else begun.seconds  # a table knows what it would cost
        if self.method is None:
            return Paid(self._values(found), seconds)
        settings = {} if self.metric is None else {"metric": self.metric}
        method = curves.get(self.method, **settings)
        if method.learns:
            raise SettingError(
                f"method {self.method!r} of evidence Curve",
                expected="one that needs no fit",
                hint="let a regressor learn from the values: Curve(None, ...)",
            )
        return Paid(method.predict(found)[:, None], seconds)

    def _values(self, found: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        name = self.metric or "val_acc"
        if name not in found or found[name].shape[1] < self.epochs:
            raise DataError(f"no curve {name!r} of {self.epochs} epochs", got=sorted(found))
        return found[name]

    @property
    def _evaluator(self) -> Trains:
        if self.evaluator is None:
            raise SettingError(
                "evidence Curve has no evaluator",
                expected="a Lookup of a table with curves, a Trainer or an own one",
                hint="Curve('sotl-e', evaluator, epochs=10)",
            )
        trains: Trains = self.evaluator
        return trains

    def __sklearn_clone__(self) -> Self:
        """Clones share the evaluator, with its table or data."""
        other = type(self)(**self.get_params(deep=False))
        if (folder := getattr(self, "_folder", None)) is not None:
            other._folder = folder
        return other
