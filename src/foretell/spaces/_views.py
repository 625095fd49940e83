"""What spaces answer with: the graph view and costs of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foretell.spaces._choices import Layout


class Graphs(NamedTuple):
    """The DAG view of a batch.

    Shapes: `ops` (n, v) index into `space.vocabulary`, -1 for a vertex that is not there;
    `adjacency` (n, v, v) bool, `[a, i, j]` true for an edge i -> j; vertices are in topological
    order, so every edge has i < j.
    """

    ops: NDArray[np.integer[Any]]
    adjacency: NDArray[np.bool_]


class Costs(NamedTuple):
    """What a network costs: `params` trainable numbers; `flops` of one forward pass of one input.

    Flops count two for each multiply-add of convolutions and matrix products and nothing else,
    as `torch.utils.flop_counter` does. Both are int64 arrays of shape (n,).
    """

    params: NDArray[np.int64]
    flops: NDArray[np.int64]


def chain(there: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Adjacency in which each vertex that is there leads to the next one that is there.

    Shapes: (n, v) to (n, v, v).

    >>> chain(np.array([[True, False, True]]))[0].nonzero()
    (array([0]), array([2]))
    """
    position = np.cumsum(there, axis=1)
    following: NDArray[np.bool_] = position[:, None, :] - position[:, :, None] == 1
    return following & there[:, :, None] & there[:, None, :]


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
