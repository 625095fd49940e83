"""`trials.csv` and `curves.csv`: a run as two tables that pandas, R and DuckDB open."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from foretell.frame import Frame
from foretell.trackers.base import Watcher
from foretell.trackers.parts.events import Event, decisions, facts

_SHARE = 0.05  # of the time, at most, goes into writing the files again


class CSV(Watcher):
    """One line a trial in `trials.csv`, one line an epoch of a trial in `curves.csv`.

    Both are written whole from the journal, so they are never torn and never out of step with it.
    Columns of trials.csv: id, phase, arch, seed, ..., the objective as `value`, each metric by its
    name, each decision as `choice_<name>`; cells without a value are empty.
    """

    def _known(self, settings: dict[str, Any]) -> set[int]:
        self._trials: list[dict[str, Any]] = []
        self._epochs: list[dict[str, Any]] = []
        self._next = math.inf  # nothing is written before the whole journal is read
        return set()

    def begin(self, *args: Any) -> None:
        """Read the journal, then write both files."""
        super().begin(*args)
        self._write()

    def _add(self, event: Event) -> None:
        chosen = decisions(self.space, event["x"]).items() if "x" in event else ()
        value = {"value": event["metrics"].get(self.objective)} if not event["error"] else {}
        choices = {f"choice_{name}": option for name, option in chosen}
        self._trials.append(facts(event) | value | event["metrics"] | choices)
        curves = event["curve"]
        for i in range(max(map(len, curves.values()), default=0)):
            at = {name: values[i] for name, values in curves.items() if i < len(values)}
            self._epochs.append({"id": event["id"], "epoch": i + 1} | at)
        if time.monotonic() >= self._next:
            self._write()

    def end(self, summary: dict[str, Any]) -> None:
        """Write what has come since the last time."""
        self._write()

    def _write(self) -> None:
        start = time.monotonic()
        _frame(self._trials, ("id",)).write(self.folder / "trials.csv")
        _frame(self._epochs, ("id", "epoch")).write(self.folder / "curves.csv")
        now = time.monotonic()
        self._next = now + (now - start) / _SHARE


def _frame(lines: list[dict[str, Any]], first: tuple[str, ...]) -> Frame:
    """A table of the lines, with a column for every name that any of them has."""
    names = dict.fromkeys([*first, *(name for line in lines for name in line)])
    missing = dict.fromkeys(names, math.nan)
    filled = [missing | {k: v for k, v in line.items() if v is not None} for line in lines]
    return Frame({n: np.array([line[n] for line in filled], dtype=object) for n in names})
