"""Accuracy with the weights of a supernet as an evaluator."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from foretell.evaluators.base import Evaluator, OnEpoch, Result
from foretell.spaces.base import Rows, Space


class Scores(Protocol):
    """A trained supernet, or whatever else scores rows by weights that it has."""

    def score(self, X: Rows, batches: int | None = None) -> NDArray[np.float64]:
        """Accuracy of rows, (n,)."""


class Inherited(Evaluator):
    """What a row does with the weights that it has in a supernet: seconds instead of a training.

    Any strategy may search with it. All seeds give the same.

    Args:
        space: of the rows.
        supernet: a fitted search of `foretell.supernets`, or what has its `score`.
        batches: of the validation rows; None for all.

    References: Bender et al., ICML 2018; Guo et al., SPOS, ECCV 2020.
    """

    objective = "val_acc"

    def __init__(self, space: Space, supernet: Scores, *, batches: int | None = None) -> None:
        self.space, self.supernet, self.batches = space, supernet, batches

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
        """Its accuracy; a row that the supernet has not is a failed result."""
        start = time.perf_counter()
        try:
            value = float(self.supernet.score(np.asarray(x)[None], self.batches)[0])
        except Exception as error:
            line = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            return Result(seed=seed, seconds=time.perf_counter() - start, error=line)
        if not np.isfinite(value):
            return Result(seed=seed, seconds=time.perf_counter() - start,
                          error="this supernet does not hold the row")  # fmt: skip
        return Result({self.objective: value}, seconds=time.perf_counter() - start, seed=seed)

    def identity(self) -> Any:
        """What its answers depend on beside the row."""
        tell = getattr(self.supernet, "description", None)
        return {} if tell is None else tell()
