"""Colour refinement of graphs (Weisfeiler & Leman): labels of vertices, keys of graphs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foretell.graphs import hashing
from foretell.graphs.view import Graphs

_BLOCK = 4_096  # rows whose intermediate arrays are kept at once
_OWN, _SOURCE, _TARGET = hashing.mix(np.arange(201, 204, dtype=np.uint64)) | np.uint64(1)


def labels(graphs: Graphs, iterations: int) -> list[NDArray[np.uint64]]:
    """Weisfeiler-Lehman labels (n, v) after 0 to `iterations` steps; 0 where no vertex is."""
    there = graphs.ops >= 0
    start = hashing.mix(graphs.ops.astype(np.uint64) + np.uint64(2))
    levels = [np.where(there, start, np.uint64(0))]
    for _ in range(iterations):
        levels.append(np.where(there, refine(levels[-1], graphs.adjacency), np.uint64(0)))
    return levels


def refine(labels: NDArray[np.uint64], adjacency: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """One Weisfeiler-Lehman step: labels (n, v) and adjacency (n, v, v) to labels (n, v)."""
    zero = np.uint64(0)
    after = np.where(adjacency, labels[:, None, :], zero)
    before = np.where(adjacency.transpose(0, 2, 1), labels[:, None, :], zero)
    return hashing.combine(labels, _bag(before), _bag(after))


def _bag(labels: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hash of each multiset along the last axis: the sum of mixed labels, zero for no label."""
    mixed = np.where(labels > 0, hashing.mix(labels), np.uint64(0))
    with np.errstate(over="ignore"):
        return hashing.mix(mixed.sum(axis=-1, dtype=np.uint64))


def class_key(graphs: Graphs) -> NDArray[np.uint64]:
    """A 64-bit key, equal for graphs that are equal up to the order of their vertices, (n,).

    Colour refinement (Weisfeiler & Leman): a vertex starts with its operation, and once for every
    second vertex becomes h_v = mix(a h_v + b sum_{u -> v} h_u + c sum_{v -> w} h_w) modulo 2^64;
    the key is mix(sum_v h_v).
    """
    n = len(graphs.ops)
    parts = [
        _refined(Graphs(graphs.ops[i : i + _BLOCK], graphs.adjacency[i : i + _BLOCK]))
        for i in range(0, n, _BLOCK)
    ]
    return np.concatenate([np.zeros(0, dtype=np.uint64), *parts])


def _refined(graphs: Graphs) -> NDArray[np.uint64]:
    some = (graphs.ops >= 0).any(axis=0)
    ops, adjacency = graphs.ops[:, some], graphs.adjacency[:, some][:, :, some]
    there = (ops >= 0).astype(np.uint64)
    after = adjacency.astype(np.uint64)
    before = np.ascontiguousarray(after.transpose(0, 2, 1))
    h = hashing.mix(ops.astype(np.uint64) + np.uint64(2)) * there
    for _ in range(-(-graphs.ops.shape[1] // 2)):
        near = (
            _SOURCE * (before @ h[:, :, None])[..., 0] + _TARGET * (after @ h[:, :, None])[..., 0]
        )
        h = hashing.mix(_OWN * h + near) * there
    return hashing.mix(h.sum(axis=1))
