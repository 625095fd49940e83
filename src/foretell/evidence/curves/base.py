"""What a method on learning curves is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal, Self, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from foretell.errors import DataError, NoUncertaintyError, SettingError

Floats = NDArray[np.float64]
Curves = Mapping[str, ArrayLike]  # name -> a value an epoch, (n, e), NaN after the last one


class CurveMethod(BaseEstimator, ABC):  # type: ignore[misc]  # scikit-learn has no types
    """Base of what tells from the first epochs of trainings how they will end; higher is better.

    What is told of a network depends on its own curves alone. A curve that ends early counts with
    its last value; one without any value is NaN. Of a metric that is a loss, predictions are
    negated.

    A subclass is final: it lists its parameters in `__init__` (stored as given) and implements
    `_predict`; one that `learns` from whole curves has `_learn` too.

    Args:
        metric: the curve that is read; None for the first of `reads` that is there.
        horizon: the epoch whose value is predicted; None for the length of the curves given.
    """

    reads: ClassVar[tuple[str, ...]] = ("val_acc", "val_loss")  # curves that will do
    least: ClassVar[int] = 1  # epochs that it must see
    learns: ClassVar[bool] = False  # whether it is fitted on whole curves first
    has_std: ClassVar[bool] = False
    metric: str | None = None
    horizon: int | None = None

    @abstractmethod
    def _predict(self, seen: Floats, horizon: int) -> tuple[Floats, Floats | None]:
        """Mean (n,) and deviation (n,) or None from finite curves (n, e), large values good."""

    def _learn(self, whole: Floats, y: Floats) -> None:
        """Learn from finite curves (n, e) of large good values, and their ends (n,)."""

    def fit(self, curves: Curves, y: ArrayLike | None = None) -> Self:
        """Learn from whole curves; methods that do not `learn` have nothing to do.

        Args:
            curves: of trainings that were not stopped, (n, e).
            y: what is to be predicted, (n,), higher is better; None for the last values of the
                metric's curve, negated if it is a loss.

        Raises: DataError where there is no such curve, or `y` has another shape.
        """
        if not self.learns:
            return self
        name, values = self._read(curves)
        whole = sign(name) * values
        target = whole[:, -1] if y is None else np.asarray(y, dtype=np.float64)
        if target.shape != (len(whole),):
            raise DataError("targets y", expected=f"shape ({len(whole)},)", got=target.shape)
        known = np.isfinite(whole).all(axis=1) & np.isfinite(target)
        if known.sum() < 2:
            raise DataError(
                "curves to learn from", expected="two or more with values", got=int(known.sum())
            )
        self.n_epochs_ = whole.shape[1]
        self._learn(whole[known], target[known])
        return self

    @overload
    def predict(
        self, curves: Curves, epochs: int | None = ..., return_std: Literal[False] = ...
    ) -> Floats: ...
    @overload
    def predict(
        self, curves: Curves, epochs: int | None = ..., *, return_std: Literal[True]
    ) -> tuple[Floats, Floats]: ...
    def predict(
        self, curves: Curves, epochs: int | None = None, return_std: bool = False
    ) -> Floats | tuple[Floats, Floats]:
        """What is told of each network, (n,), from its first `epochs` epochs.

        Args:
            curves: name -> (n, e).
            epochs: how many of them it sees; None for all.
            return_std: whether to give deviations, (n,), as well.

        Raises:
            DataError: there is no curve that it reads.
            SettingError: fewer epochs than it needs, or more than there are.
            NoUncertaintyError: the method has none.
            NotFittedError: it learns, and `fit` has not been called.
        """
        if return_std and not self.has_std:
            raise NoUncertaintyError(
                f"{type(self).__name__} predicts no standard deviation", hint="call predict(curves)"
            )
        name, values = self._read(curves)
        n, length = values.shape
        seen = length if epochs is None else epochs
        if isinstance(seen, bool) or int(seen) != seen or not self.least <= seen <= length:
            raise SettingError(
                f"epochs that {type(self).__name__} sees",
                expected=f"a whole number from {self.least} to {length}, which there are",
                got=seen,
            )
        if self.learns:
            from sklearn.utils.validation import check_is_fitted

            check_is_fitted(self, "n_epochs_")
        horizon = self.horizon or (self.n_epochs_ if self.learns else length)
        begun = sign(name) * values[:, : int(seen)]
        known = np.isfinite(begun).all(axis=1)
        mean, std = np.full(n, np.nan), np.full(n, np.nan)
        if known.any():
            mean[known], spread = self._predict(begun[known], max(int(horizon), int(seen)))
            if spread is not None:
                std[known] = spread
        return (mean, std) if return_std else mean

    def _read(self, curves: Curves) -> tuple[str, Floats]:
        """Name and values (n, e) of the curve that it reads, gaps filled by what was before."""
        wanted = self.reads if self.metric is None else (self.metric,)
        name = next((one for one in wanted if one in curves), None)
        if name is None:
            raise DataError(
                f"curves for {type(self).__name__}",
                expected=" or ".join(map(repr, wanted)),
                got=", ".join(map(repr, curves)) or "none",
            )
        values = np.array(curves[name], dtype=np.float64)
        if values.ndim != 2 or not values.shape[1]:
            raise DataError(f"curves {name!r}", expected="shape (n, epochs)", got=values.shape)
        return name, _filled(values)

    def __sklearn_is_fitted__(self) -> bool:
        return not self.learns or hasattr(self, "n_epochs_")


def sign(name: str) -> float:
    """-1 where small values of a curve of that name are good.

    >>> sign("val_loss"), sign("val_acc")
    (-1.0, 1.0)
    """
    return -1.0 if any(word in name for word in ("loss", "perplexity", "ppl", "err")) else 1.0


def _filled(values: Floats) -> Floats:
    """Values that are not finite become what stood before them; those before the first stay."""
    there = np.isfinite(values)
    last = np.maximum.accumulate(np.where(there, np.arange(values.shape[1]), 0), axis=1)
    filled: Floats = np.take_along_axis(np.where(there, values, np.nan), last, axis=1)
    return filled
