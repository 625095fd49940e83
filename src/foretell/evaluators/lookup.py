"""`TableEvaluator`: looks a result up in a table instead of training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from foretell.errors import ForetellError, SettingError
from foretell.evaluators.base import Evaluator, Result
from foretell.spaces.base import Rows, Space
from foretell.tables.table import Table


@dataclass(frozen=True)
class TableEvaluator(Evaluator):
    """Looks results up in a table; an architecture without a value is a failed trial."""

    table: Table
    objective: str
    direction: Literal["max", "min"] = "max"

    def __post_init__(self) -> None:
        if self.direction not in ("max", "min"):
            raise SettingError("direction", expected="'max' or 'min'", got=repr(self.direction))
        self.table.column(self.objective)

    @property
    def space(self) -> Space:  # type: ignore[override]  # not to be set here
        """The table's space."""
        return self.table.space

    def evaluate(self, x: Rows, seed: int = 0) -> Result:
        """The table's value of the row `x`, (d,); the seed changes nothing."""
        try:
            value = float(self.table.query(np.asarray(x)[None], self.objective)[0])
        except ForetellError as error:
            return Result(seed=seed, error=str(error))
        return Result({self.objective: value}, seed=seed)
