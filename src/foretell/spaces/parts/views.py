"""What spaces answer with: costs of a batch, and the graph view where they know no better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foretell.graphs.view import Graphs, chain
from foretell.spaces.parts.layout import Layout


class Costs(NamedTuple):
    """What a network costs: `params` trainable numbers; `flops` of one forward pass of one input.

    Flops count two for each multiply-add of convolutions and matrix products and nothing else,
    as `torch.utils.flop_counter` does. Both are int64 arrays of shape (n,).
    """

    params: NDArray[np.int64]
    flops: NDArray[np.int64]


def words(layout: Layout) -> tuple[str, ...]:
    """One word for each option of each decision that some row takes."""
    options = {
        f"{name}={option}": None
        for name, group in layout.groups.items()
        if group.stop > group.start
        for option in layout.columns[group.start].options
    }
    return tuple(options)


def decision_chain(
    layout: Layout, vocabulary: Sequence[str], X: NDArray[Any], active: NDArray[np.bool_]
) -> Graphs:
    """The decisions that apply as a chain, in their order, from input to output."""
    index = {word: i for i, word in enumerate(vocabulary)}
    n, d = X.shape
    ops = np.full((n, d + 2), -1, dtype=np.int16 if len(index) > 127 else np.int8)
    ops[:, 0], ops[:, -1] = 0, 1
    for name, group in layout.groups.items():
        for j in range(group.start, group.stop):
            of_option = np.array([index[f"{name}={o}"] for o in layout.columns[j].options])
            ops[:, j + 1] = np.where(active[:, j], of_option[X[:, j]], -1)
    return Graphs(ops, chain(ops >= 0))
