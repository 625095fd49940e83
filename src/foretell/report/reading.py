"""A run folder as a frozen record: what is there, finished or not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from foretell.errors import RunError
from foretell.frame import columns_of
from foretell.report.units import Metric
from foretell.runs import events, journal
from foretell.runs.events import Final, Rank, Rival, Session
from foretell.runs.folder import settings_of
from foretell.runs.record import RunRecord, SpaceRecord
from foretell.runs.settings import meant
from foretell.runs.throughput import Throughput, throughput
from foretell.runs.trial import Trial
from foretell.spaces.base import Rows, Space
from foretell.spaces.parts.load import named
from foretell.typed import Reader

Floats = NDArray[np.float64]
E = TypeVar("E", bound=events.Record)


@dataclass(frozen=True)
class Run:
    """All that a report says; absent parts are empty."""

    folder: Path
    record: RunRecord
    trials: tuple[Trial, ...]  # of the search and of random search, in the order of the journal
    again: tuple[Trial, ...]  # trainings with other seeds, for the verdict
    ranks: tuple[Rank, ...]  # one a round
    sessions: tuple[Session, ...]
    throughput: Throughput | None  # where that was written down
    spreads: dict[str, dict[str, float]]  # of measured costs: name -> architecture -> spread
    stopped_by: str  # which budget ended the search
    final: Final | None
    ranking: dict[str, list[str]]  # columns of ranking.csv, text as written
    predictions: dict[str, list[str]]
    metric: Metric
    space: Space | None = None
    space_error: str = ""
    notes: tuple[str, ...] = field(default=())  # what could not be read

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return self.final is not None

    @property
    def rank(self) -> Rank:
        """What the last predictor said; empty before it."""
        return self.ranks[-1] if self.ranks else Rank("", "")

    @property
    def ok(self) -> tuple[Trial, ...]:
        """Trials that were trained to the end and gave a finite value."""
        return tuple(trial for trial in self.trials if trial.ok and not trial.stopped)

    @property
    def stopped(self) -> tuple[Trial, ...]:
        """Trials that successive halving ended early; their value is of that epoch."""
        return tuple(trial for trial in self.trials if trial.ok and trial.stopped)

    @property
    def minimize(self) -> tuple[str, ...]:
        """Costs that the search kept small."""
        return tuple(self.record.options.minimize)

    @property
    def limits(self) -> dict[str, float]:
        """What no network was allowed to exceed, by the name of the cost."""
        limits: dict[str, float] = meant(self.record.options, "limits")
        return limits

    @property
    def rival(self) -> Rival:
        """The best of random search; empty without it."""
        return (self.final and self.final.random) or Rival()

    @property
    def winner(self) -> Trial | None:
        """The trial that the run chose, or the best so far of an unfinished one."""
        by_id = {trial.id: trial for trial in self.trials}
        if self.final:
            return by_id.get(self.final.id)
        mine = [trial for trial in self.ok if trial.phase != "random"]
        return max(mine, key=lambda trial: trial.value, default=None)

    def of(self, *phases: str) -> tuple[Trial, ...]:
        """Finished trials of some phases, in order."""
        return tuple(trial for trial in self.ok if trial.phase in phases)

    def rows(self, trials: tuple[Trial, ...]) -> Rows | None:
        """Rows of some trials, shape (n, d), or None when the space does not hold them."""
        if self.space is None or not trials:
            return None
        if any(len(trial.x) != self.space.d for trial in trials):
            return None
        X = np.array([trial.x for trial in trials])
        return X if self.space.contains(X).all() else None


class _Said:
    """The records of a journal, with what can be read of damaged ones."""

    def __init__(self, path: Path) -> None:
        reader = Reader(path, [])
        found = journal.read(path) if path.exists() else []
        self._records = [events.record_of(event, reader) for event in found]

    def of(self, kind: type[E]) -> list[E]:
        """Those of one kind, oldest first."""
        return [record for record in self._records if type(record) is kind]


def read(folder: Path, space: Space | None = None) -> Run:
    """What the run folder holds.

    Args:
        folder: of a run, finished, interrupted or still going.
        space: of the run, if it is at hand; else that of the catalog which it names. A file that
            it names is never run.

    Raises: RunError when there is no readable `run.json`, or the journal holds other things.
    """
    folder = Path(folder)
    notes: list[str] = []
    record = RunRecord.read(settings_of(folder), folder / "run.json", notes)
    metric = Metric.of(record.objective, record.data.sizes)
    why = ""
    if space is None:
        space, why = _space(record.space)
    path = folder / "trials.jsonl"
    said = _Said(path)
    final = next(iter(reversed(said.of(events.Final))), None)
    latest = {event.id: Trial.told(event, metric.name) for event in said.of(events.Trial)}
    sessions = said.of(events.Session)
    last_stop = [stop.reason for stop in said.of(events.Stop)][-1:]
    return Run(
        folder=folder,
        record=record,
        trials=tuple(trial for trial in latest.values() if trial.phase != "verdict"),
        again=tuple(trial for trial in latest.values() if trial.phase == "verdict"),
        ranks=tuple(said.of(events.Rank)),
        sessions=tuple(sessions),
        throughput=throughput([*said.of(events.Rung), *said.of(events.Trial)], sessions),
        spreads=_spreads(said.of(events.Cost)),
        stopped_by=(final and final.stopped_by) or "".join(last_stop),
        final=final,
        ranking=_columns(folder / "ranking.csv", ("arch",), notes),
        predictions=_columns(
            folder / "predictions.csv", ("id", "phase", "predicted", "measured"), notes
        ),
        metric=metric,
        space=space,
        space_error=why,
        notes=tuple(notes),
    )


def number(value: Any) -> float:
    """A finite number, or NaN for anything else.

    >>> number("0.5"), number(""), number(None)
    (0.5, nan, nan)
    """
    try:
        result = float(value)
    except (TypeError, ValueError):
        return math.nan
    return result if np.isfinite(result) else math.nan


def integer(value: object, default: int = -1) -> int:
    """A whole number, or `default`."""
    result = number(value)
    return default if np.isnan(result) else int(result)


def numbers(values: list[str]) -> Floats:
    """A column of a CSV as numbers, NaN where there is none."""
    return np.array([number(value) for value in values], dtype=np.float64)


def _columns(path: Path, needed: Sequence[str], notes: list[str]) -> dict[str, list[str]]:
    """Columns of a table, the needed ones among them; none, and a note, where it is damaged."""
    if not path.exists():
        return {}
    try:
        found = columns_of(path)
    except RunError as error:
        notes.append(f"{path.name} was left out: {error.__cause__}")
        return {}
    if lacking := [name for name in needed if name not in found]:
        notes.append(f"{path.name} was left out: it has no column {', '.join(lacking)}")
        return {}
    return found


def _spreads(costs: list[events.Cost]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for cost in costs:
        pairs = zip(cost.archs, map(number, cost.spreads), strict=False)
        found.setdefault(cost.name, {}).update(pairs)
    return found


def _space(asked: SpaceRecord) -> tuple[Space | None, str]:
    """The space of the run, or why it cannot be had."""
    spec = asked.spec or asked.name
    settings = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in asked.settings.items()
    }
    try:
        space = named(spec, **settings)
        same = (space.d, space.size) == (asked.d, asked.size)
    except Exception as error:  # whatever its settings are; the report goes on without it
        return None, f"{type(error).__name__}: {error}"
    return (space, "") if same else (None, f"{spec} is not the space it was when the run began")
