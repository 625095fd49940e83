"""A function of one's own as an evaluator."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from foretell.errors import DataError, SettingError
from foretell.evaluators.base import Evaluator, OnEpoch, Result
from foretell.spaces.base import Rows, Space

_PASSED = ("seed", "epochs", "state", "weights", "on_epoch")


class Function(Evaluator):
    """What `evaluator` returns."""

    def __init__(
        self,
        fn: Callable[..., Any],
        space: Space,
        objective: str,
        direction: Literal["max", "min"],
        epochs: int,
    ) -> None:
        self.fn, self.space, self.objective, self.direction = fn, space, objective, direction
        self.epochs = epochs
        known = inspect.signature(fn).parameters.values()
        anything = any(one.kind is one.VAR_KEYWORD for one in known)
        self._takes = [n for n in _PASSED if anything or n in {one.name for one in known}]

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
        """What the function says of the row, as a result."""
        began = time.perf_counter()
        given: dict[str, Any] = {
            "seed": seed,
            "epochs": epochs or self.epochs or None,
            "state": state,
        }
        given |= {"weights": weights, "on_epoch": on_epoch}
        said = self.fn(np.asarray(x), **{name: given[name] for name in self._takes})
        if not isinstance(said, Result):
            said = Result(self._metrics(said))
        return replace(
            said,
            seed=seed,
            seconds=said.seconds or time.perf_counter() - began,
            epochs=said.epochs or epochs or self.epochs,
        )

    def _metrics(self, said: Any) -> dict[str, float]:
        if isinstance(said, Mapping):
            return {str(name): float(value) for name, value in said.items()}
        try:
            return {self.objective: float(said)}
        except (TypeError, ValueError):
            raise DataError(
                "an evaluator's function",
                expected="a number, a dict of metrics, or a Result",
                got=type(said).__name__,
            ) from None


def evaluator(
    fn: Callable[..., Any],
    space: Space,
    objective: str = "val",
    direction: Literal["max", "min"] = "max",
    epochs: int = 0,
) -> Evaluator:
    """An evaluator from a function of a row.

    Args:
        fn: called with a row (d,), and with those of `seed`, `epochs`, `state`, `weights` and
            `on_epoch` that it has as parameters. It returns a number, a dict of split-named
            metrics, or a `Result`; what it raises is why the network failed.
        space: of the rows; `space.decode(x)` has the options by name.
        objective: the metric that a search reads; its name begins with val.
        direction: "min" for a loss.
        epochs: of a whole evaluation, for functions that can stop before.

    Raises:
        SettingError: `fn` cannot be called, or a setting is not valid.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> count = evaluator(lambda x: float((x == 3).sum()), space)
    >>> count.evaluate(space.sample(1, rng=0)[0]).metrics
    {'val': 1.0}
    """
    if not callable(fn) or not isinstance(space, Space):
        raise SettingError("evaluator", expected="a function and a Space", got=(fn, space))
    if direction not in ("max", "min"):
        raise SettingError("direction", expected="'max' or 'min'", got=repr(direction))
    if not objective.startswith("val"):
        raise SettingError(
            "objective", expected="a validation metric, like val_acc", got=repr(objective)
        )
    return Function(fn, space, objective, direction, epochs)
