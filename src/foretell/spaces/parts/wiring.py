"""How signals of a cell meet: which operations pass them on, where they are joined."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Wiring(NamedTuple):
    """What happens to signals beside the operations that give out anew what they make of them.

    Vertices add what they read. The output may instead join channels, where shares of the variance
    are those of channels side by side.

    >>> Wiring(joins=True).passes.get("conv")
    """

    passes: Mapping[str, float] = MappingProxyType({})  # operation -> factor of the variance
    joins: bool = False  # whether the output joins channels instead of adding
    projects: bool = False  # whether each reader of the input has weights of its own for it
