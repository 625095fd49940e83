"""What all trackers read off the events of a journal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from foretell.spaces.base import Space

Plain = str | int | float | bool
Event = Mapping[str, Any]  # one line of a run's journal: {"event": "trial", "id": 3, ...}


def decisions(space: Space, x: list[int]) -> dict[str, Any]:
    """Name -> option of the decisions that apply in a row (d,), as plain values.

    >>> import foretell as ft
    >>> space = ft.Space.from_choices({"op": ["conv", "skip"], "width": [8, 16]}, build=print)
    >>> decisions(space, [1, 0])
    {'op': 'skip', 'width': 8}
    """
    active = space.active(np.array([x]))[0]
    columns = zip(space.choices, x, active, strict=True)
    return {one.name: plain(one.options[i]) for one, i, applies in columns if applies}


def plain(option: object) -> Plain:
    """An option as trackers take it: a number or a boolean as it is, all else as text."""
    return option if isinstance(option, (bool, int, float)) else str(option)


def facts(event: Event) -> dict[str, Plain]:
    """What is known of a trial beside its decisions, metrics and curves."""
    found = {"id": event["id"], **{k: event.get(k) for k in ("phase", "arch", "seed", "status")}}
    found |= {k: event.get(k) for k in ("error", "epochs", "stopped", "replicate")}
    found |= numbers(event)
    return {name: value for name, value in found.items() if value is not None and value != ""}


def numbers(event: Event) -> dict[str, float]:
    """Costs of a trial that are known: seconds, params, flops and what else was measured."""
    found = {name: event.get(name) for name in ("seconds", "params", "flops")}
    found |= event.get("costs") or {}
    return {name: value for name, value in found.items() if value is not None}


def finite(values: Mapping[str, float | None]) -> dict[str, float]:
    """The entries that are finite numbers."""
    return {k: v for k, v in values.items() if v is not None and math.isfinite(v)}


def points(event: Event) -> list[tuple[str, int, float]]:
    """(metric, epoch from 1, value) of all curves; metrics that have none, at the last epoch."""
    curves = event["curve"]
    found = [
        (name, epoch, float(value))
        for name, values in curves.items()
        for epoch, value in enumerate(values, start=1)
        if value is not None
    ]
    last = max(map(len, curves.values()), default=0)
    metrics = finite(event["metrics"])
    return found + [(name, last, value) for name, value in metrics.items() if name not in curves]
