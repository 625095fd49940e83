"""A source as it came, before anything is learnt from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from foretell.training.data import sheets

Array = NDArray[Any]


@dataclass(frozen=True)
class Raw:
    """A source as it came, all splits behind each other.

    Shapes: `x` (n, channels, height, width) uint8 or float32, or (n, features) float64, or None
    where `columns` hold the inputs; `y` (n,) or (n, targets).
    """

    name: str
    x: Array | None
    y: Array
    where: Callable[[int], str]  # names row i in errors
    parts: Mapping[str, int] = field(default_factory=dict)  # sizes of the source's own splits
    columns: tuple[sheets.Column, ...] = ()
    target_name: str = ""
    target_names: tuple[str, ...] = ()  # where there are several
    notes: tuple[str, ...] = ()
    layout: str = "auto"  # where arrays have their channels
    levels: tuple[float, float] | None = None  # black and white of files with more than 8 bits
