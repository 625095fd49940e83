"""What an evaluator is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

from foretell.history import Result
from foretell.spaces.base import Rows, Space


class Evaluator(ABC):
    """Turns one architecture into a `Result`; picklable, so that workers can have it.

    A trial that cannot be evaluated is a `Result` with `error` set, never an exception: one bad
    network must not end a run.
    """

    space: Space
    objective: str  # the metric that search reads: "val_acc", "val_r2", a table's column
    direction: Literal["max", "min"] = "max"

    @abstractmethod
    def evaluate(self, x: Rows, seed: int = 0) -> Result:
        """Evaluate the row `x`, shape (d,), with this trial's seed."""
