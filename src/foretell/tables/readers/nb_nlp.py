"""NAS-Bench-NLP: training logs of recurrent cells, with whole learning curves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.errors import DataError, SpaceError
from foretell.spaces.nb_nlp import NBNLP
from foretell.tables.base import (
    Benchmark,
    Column,
    Peek,
    Reader,
    chosen,
    grouped,
    json_records,
    repeats_in_words,
    spread,
)

_LOSSES = {"train_losses": "train_loss", "val_losses": "val_loss", "test_losses": "test_loss"}


class NBNLPFiles(Reader):
    """Logs `log_stats_model_*.json` in a folder or .zip, or lines of JSON, one a training.

    Losses are nats per word after the last epoch, missing where a training diverged; `val_score`
    and `test_score` are 100 minus the loss, so that large is good. Curves: `train_loss`,
    `val_loss`, `test_loss`.

    References: Klyuchnikov et al., NAS-Bench-NLP, IEEE Access 2022.
    """

    name = "nb-nlp"

    def matches(self, peek: Peek) -> bool:
        """JSON with a recipe and losses."""
        return (b'"recipe"' in peek.head or b'"recepie"' in peek.head) and b"losses" in peek.head

    def read(self, path: Path, repeat: int | None) -> Benchmark:
        """All trainings; equal recipes are repeats of one."""
        recipes: list[str] = []
        records: list[dict[str, Any]] = []
        for where, record in json_records(path):
            recipe = record.get("recipe", record.get("recepie"))
            if recipe is None or any(name not in record for name in _LOSSES):
                raise DataError(f"{where} is no training of NAS-Bench-NLP", got=sorted(record)[:8])
            recipes.append(recipe if isinstance(recipe, str) else json.dumps(recipe))
            records.append(record)
        space, kept, left = NBNLP(), [], 0
        rows = []
        for text, record in zip(recipes, records, strict=True):
            try:
                rows.append(space.from_str([text])[0])
                kept.append(record)
            except SpaceError:
                left += 1
        if not kept:
            raise DataError(f"no recipe of {path.name!r} fits the space", hint="see spaces/nb_nlp")
        X = np.array(rows)
        first, group = grouped(space, X)
        curves = {new: _curves(kept, old) for old, new in _LOSSES.items()}
        finished = np.array([record.get("status", "OK") == "OK" for record in kept])
        values = [np.where(finished, curve[:, -1], np.nan) for curve in curves.values()]
        values.append(np.array([_sum(record.get("wall_times")) for record in kept]))
        values.append(np.array([float(record.get("num_params", "nan")) for record in kept]))
        wide = spread(group, np.stack(values, axis=1), len(first))
        train, val, test, seconds, params = chosen(wide, repeat).T
        columns = {
            "val_loss": Column(val, "nats", "min"),
            "test_loss": Column(test, "nats", "min"),
            "train_loss": Column(train, "nats", "min"),
            "val_score": Column(100.0 - val, "100 - nats", "max"),
            "test_score": Column(100.0 - test, "100 - nats", "max"),
            "train_s": Column(seconds, "s", "min"),
            "params": Column(params, "parameters"),
        }
        epochs = next(iter(curves.values())).shape[1]
        whole = {
            name: chosen(spread(group, curve, len(first)), repeat) for name, curve in curves.items()
        }
        notes = [f"{(~finished).sum()} trainings diverged"] if not finished.all() else []
        notes += [f"{left} recipes that do not fit the space are left out"] if left else []
        return Benchmark(
            self.name,
            "nb-nlp",
            X[first],
            columns,
            path.name,
            f"{repeats_in_words(wide.shape[1], repeat)}, {epochs} epochs",
            whole,
            tuple(notes),
        )


def _curves(records: list[dict[str, Any]], name: str) -> NDArray[np.float64]:
    longest = max(len(record[name]) for record in records)
    out = np.full((len(records), longest), np.nan)
    for i, record in enumerate(records):
        out[i, : len(record[name])] = record[name]
    return out


def _sum(times: Any) -> float:
    return float(np.sum(times)) if times else float("nan")
