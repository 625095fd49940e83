"""Chains of cells, each of which reads the two before it."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import NamedTuple

from torch import Tensor, nn


class Place(NamedTuple):
    """What a cell meets where it is.

    Attributes:
        before: channels of the older input.
        previous: channels of the newer input.
        channels: of the cell's own nodes.
        reduction: whether the cell halves the size.
        halved: whether the older input is twice as large as the newer one.
    """

    before: int
    previous: int
    channels: int
    reduction: bool
    halved: bool


def places(
    stem: int, channels: int, n_cells: int, reductions: Container[int], joined: int
) -> list[Place]:
    """The place of each cell; a reduction cell doubles the channels.

    Args:
        stem: channels of what comes before the first cell.
        channels: of the nodes of the first cell.
        n_cells: cells.
        reductions: numbers of those that halve the size.
        joined: how many times its channels a cell gives.

    >>> [tuple(map(int, place)) for place in places(48, 16, 3, {1}, 4)]
    [(48, 48, 16, 0, 0), (48, 64, 32, 1, 0), (64, 128, 32, 0, 1)]
    """
    found = []
    before, previous, halved = stem, stem, False
    for k in range(n_cells):
        reduction = k in reductions
        channels *= 1 + reduction
        found.append(Place(before, previous, channels, reduction, halved))
        before, previous, halved = previous, joined * channels, reduction
    return found


def through(cells: Iterable[nn.Module], x: Tensor) -> Tensor:
    """What the last cell gives; the first one reads x twice."""
    older = newer = x
    for cell in cells:
        older, newer = newer, cell(older, newer)
    return newer
