"""What goes into `best/`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from foretell.spaces.base import Rows, Space


@dataclass(frozen=True)
class Winner:
    """What goes into `best/`.

    Args:
        space: where it comes from.
        x: its row, (d,).
        module: the trained network, in eval mode on the CPU.
        task: "classification", "regression" or "multilabel".
        labels: names of classes or labels; empty for regression.
        inputs: how new files are read, `Data.input_spec()`.
        objective: the metric it was chosen by.
        metrics: of its validation and its test.
        facts: whatever else config.json shall have, JSON-able.
    """

    space: Space
    x: Rows
    module: nn.Module
    task: str
    labels: tuple[str, ...]
    inputs: Mapping[str, Any]
    objective: str
    metrics: Mapping[str, float]
    facts: Mapping[str, Any]
