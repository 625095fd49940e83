"""A run folder as a frozen record: what is there, finished or not."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.report.units import Metric
from foretell.runs import journal
from foretell.runs.folder import settings_of
from foretell.spaces.base import Rows, Space
from foretell.spaces.parts.load import load

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Trial:
    """One network of the journal."""

    id: int
    phase: str  # "sample", "top", "random" or "verdict"
    arch: str
    x: tuple[int, ...]
    ok: bool
    error: str
    value: float  # of the metric that was searched; NaN when failed
    metrics: dict[str, float]
    curve: dict[str, list[float]]
    seconds: float
    params: float
    flops: float
    epochs: int = 0  # trained for
    stopped: bool = False  # before its last epoch, by successive halving
    costs: dict[str, float] = field(default_factory=dict)

    def cost(self, name: str) -> float:
        """What it costs by one name: "params", "flops", "seconds" or one of the run's own."""
        own = {"params": self.params, "flops": self.flops, "seconds": self.seconds}
        return {**own, **self.costs}.get(name, float("nan"))


@dataclass(frozen=True)
class Run:
    """All that a report says; absent parts are empty."""

    folder: Path
    settings: dict[str, Any]
    trials: tuple[Trial, ...]  # of the search and of random search, in the order of the journal
    again: tuple[Trial, ...]  # trainings with other seeds, for the verdict
    ranks: tuple[dict[str, Any], ...]  # one event a round
    sessions: tuple[dict[str, Any], ...]  # one event a call of the command that came to its end
    spreads: dict[str, dict[str, float]]  # of measured costs: name -> architecture -> spread
    stopped_by: str  # which budget ended the search
    final: dict[str, Any]
    ranking: dict[str, list[str]]  # columns of ranking.csv, text as written
    predictions: dict[str, list[str]]
    metric: Metric
    space: Space | None = None
    space_error: str = ""
    notes: tuple[str, ...] = field(default=())  # what could not be read

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return bool(self.final)

    @property
    def rank(self) -> dict[str, Any]:
        """What the last predictor said; empty before it."""
        return self.ranks[-1] if self.ranks else {}

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
        names = self.settings.get("minimize")
        return tuple(map(str, names)) if isinstance(names, list) else ()

    @property
    def limits(self) -> dict[str, float]:
        """What no network was allowed to exceed, by the name of the cost."""
        found = {str(k): number(v) for k, v in section(self.settings, "limits").items()}
        return {name: value for name, value in found.items() if np.isfinite(value)}

    @property
    def winner(self) -> Trial | None:
        """The trial that the run chose, or the best so far of an unfinished one."""
        by_id = {trial.id: trial for trial in self.trials}
        if self.final:
            return by_id.get(integer(self.final.get("id")))
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


def read(folder: Path, space: Space | None = None) -> Run:
    """What the run folder holds.

    Args:
        folder: of a run, finished, interrupted or still going.
        space: of the run, if it is at hand; else it is loaded by its name or file.

    Raises: RunError when there is no readable `run.json`, or the journal holds other things.
    """
    folder = Path(folder)
    settings = settings_of(folder)
    notes: list[str] = []
    path = folder / "trials.jsonl"
    events = journal.read(path) if path.exists() else []
    raw = [event for event in events if event.get("event") == "trial"]
    final = next((event for event in reversed(events) if event.get("event") == "final"), {})
    metric = Metric.of(_objective(raw, final, settings), section(settings, "data"))
    why = ""
    if space is None:
        space, why = _space(section(settings, "space"))
    latest = {integer(event.get("id")): _trial(event, metric) for event in raw}
    kinds: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        kinds.setdefault(str(event.get("event")), []).append(event)
    last_stop = kinds.get("stop", [{}])[-1].get("reason", "")
    return Run(
        folder=folder,
        settings=settings,
        trials=tuple(trial for trial in latest.values() if trial.phase != "verdict"),
        again=tuple(trial for trial in latest.values() if trial.phase == "verdict"),
        ranks=tuple(kinds.get("rank", [])),
        sessions=tuple(kinds.get("session", [])),
        spreads=_spreads(kinds.get("cost", [])),
        stopped_by=str(final.get("stopped_by", last_stop) or ""),
        final=final,
        ranking=_columns(folder / "ranking.csv", notes),
        predictions=_columns(folder / "predictions.csv", notes),
        metric=metric,
        space=space,
        space_error=why,
        notes=tuple(notes),
    )


def section(settings: dict[str, Any], key: str) -> dict[str, Any]:
    """The object under `key`, empty when it is absent or something else."""
    value = settings.get(key)
    return value if isinstance(value, dict) else {}


def number(value: object) -> float:
    """A finite number, or NaN for anything else.

    >>> number("0.5"), number(""), number(None)
    (0.5, nan, nan)
    """
    try:
        result = float(value)  # type: ignore[arg-type]  # whatever the file holds
    except (TypeError, ValueError):
        return float("nan")
    return result if np.isfinite(result) else float("nan")


def integer(value: object, default: int = -1) -> int:
    """A whole number, or `default`."""
    result = number(value)
    return default if np.isnan(result) else int(result)


def numbers(values: list[str]) -> Floats:
    """A column of a CSV as numbers, NaN where there is none."""
    return np.array([number(value) for value in values], dtype=np.float64)


def _columns(path: Path, notes: list[str]) -> dict[str, list[str]]:
    if not path.exists():
        return {}
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            head, *rows = list(csv.reader(file)) or [[]]
    except csv.Error as error:
        notes.append(f"{path.name} was left out: {error}")
        return {}
    rows = [row for row in rows if len(row) == len(head)]
    return {name: [row[j] for row in rows] for j, name in enumerate(head)}


def _objective(raw: list[dict[str, Any]], final: dict[str, Any], settings: dict[str, Any]) -> str:
    for event in (final, *raw):
        names = section(event, "metrics")
        for name in names:
            if name.startswith("val_") and name not in ("val_loss", "val_rmse"):
                return name
    regression = section(settings, "data").get("task") == "regression"
    return "val_r2" if regression else "val_acc"


def _trial(event: dict[str, Any], metric: Metric) -> Trial:
    metrics = {str(k): number(v) for k, v in section(event, "metrics").items()}
    value = metrics.get(metric.name, float("nan"))
    ok = event.get("status") == "ok" and not np.isnan(value)
    x = event.get("x")
    error = str(event.get("error") or ("" if ok else f"no {metric.name}"))
    return Trial(
        id=integer(event.get("id")),
        phase=str(event.get("phase", "")),
        arch=str(event.get("arch", "")),
        x=tuple(integer(v) for v in x) if isinstance(x, list) else (),
        ok=ok,
        error="" if ok else error,
        value=value if ok else float("nan"),
        metrics=metrics,
        curve={
            str(name): [number(v) for v in values]
            for name, values in section(event, "curve").items()
            if isinstance(values, list)
        },
        seconds=number(event.get("seconds")),
        params=number(event.get("params")),
        flops=number(event.get("flops")),
        epochs=integer(event.get("epochs"), 0),
        stopped=event.get("stopped") is True,
        costs={str(name): number(value) for name, value in section(event, "costs").items()},
    )


def _spreads(events: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for event in events:
        columns = [event.get(key) for key in ("archs", "spreads")]
        if all(isinstance(column, list) for column in columns):
            pairs = zip(*columns, strict=False)
            found.setdefault(str(event.get("name")), {}).update(
                {str(arch): number(spread) for arch, spread in pairs}
            )
    return found


def _space(entry: dict[str, Any]) -> tuple[Space | None, str]:
    """The space of the run, or why it cannot be had."""
    spec = str(entry.get("spec") or entry.get("name") or "")
    settings = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in section(entry, "settings").items()
    }
    try:
        space = load(spec, **settings)
        same = (space.d, space.size) == (entry.get("d"), entry.get("size"))
    except Exception as error:  # a user's file may raise anything; the report goes on without it
        return None, f"{type(error).__name__}: {error}"
    return (space, "") if same else (None, f"{spec} is not the space it was when the run began")
