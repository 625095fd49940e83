"""The tables beside the journal: ranking.csv, predictions.csv, pareto.csv."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from foretell.frame import Frame
from foretell.pareto import nondominated
from foretell.runs import ranks
from foretell.runs.folder import RunFolder
from foretell.runs.trial import Trial
from foretell.search.ranking import Ranking
from foretell.spaces.base import Space


def write_ranking(folder: RunFolder, space: Space, ranking: Ranking) -> None:
    """`ranking.csv`, before any of it is measured."""
    ranks.ranking_frame(space, ranking).write(folder.ranking)


def predicted(
    folder: RunFolder, archs: Sequence[str], values: ranks.Floats, phase: str, ids: Sequence[int]
) -> None:
    """Add predictions to predictions.csv, of networks that it does not have yet."""
    old = ranks.read_predictions(folder)
    have = set(old["arch"].tolist())
    rows = old.rows() + [
        (arch, ids[i], phase, float(values[i]), math.nan)
        for i, arch in enumerate(archs if len(values) else [])
        if arch not in have
    ]
    columns = dict(zip(old.columns, zip(*rows, strict=True), strict=True)) if rows else {}
    (Frame(columns) if rows else old).write(folder.predictions)


def write_measured(folder: RunFolder, trials: Sequence[Trial], *, ranked: bool) -> Frame:
    """Bring ranking.csv and predictions.csv up to date with what was measured; the ranking.

    Args:
        folder: of the run.
        trials: that have ended.
        ranked: whether a predictor has written the ranking; else it is by what was measured.
    """
    measured = {t.arch: t.value for t in trials}
    if folder.predictions.exists():
        frame = ranks.read_predictions(folder)
        ranks.with_measured(frame, measured).write(folder.predictions)
    if folder.ranking.exists() and ranked:
        frame = ranks.with_measured(ranks.read_ranking(folder), measured)
    else:
        columns = [[getattr(t, name) for t in trials] for name in ("value", "params", "flops")]
        frame = ranks.measured_frame([t.arch for t in trials], *map(np.array, columns))
    frame.write(folder.ranking)
    return frame


def pareto(trials: Sequence[Trial], minimize: Sequence[str]) -> list[Trial]:
    """The trials that no other one beats in the objective and in all costs; best first."""
    if not trials:
        return []
    F = np.array([[t.value, *(-t.cost(name) for name in minimize)] for t in trials])
    kept = [trial for trial, keep in zip(trials, nondominated(F), strict=True) if keep]
    return sorted(kept, key=lambda trial: -trial.value)


def pareto_frame(front: Sequence[Trial], objective: str, minimize: Sequence[str]) -> Frame:
    """`pareto.csv`: arch, the objective, and each cost."""
    columns = {"arch": np.array([t.arch for t in front], dtype=str)}
    columns[objective] = np.array([t.value for t in front])
    columns |= {name: np.array([t.cost(name) for t in front]) for name in minimize}
    return Frame(columns)
