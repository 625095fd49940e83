"""Labelled graphs of at most 7 vertices, as rows of 21 edge bits and 5 operations.

Vertex 0 is the input, 6 the output; columns are the pairs i < j of the adjacency matrix row by row,
then the operation of vertices 1 to 5. Work on edges takes them as columns (21, n): one contiguous
array for each pair, so a million graphs are 21 array operations and not a million small matrices.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from foretell.graphs import hashing
from foretell.spaces.base import Rows

V, N_OPS, MAX_EDGES = 7, 3, 9
PAIRS = tuple(itertools.combinations(range(V), 2))
COLUMN = {pair: e for e, pair in enumerate(PAIRS)}
N_EDGES = len(PAIRS)
FROM, TO = np.array(PAIRS).T
_INTO, _OUT_OF = ([np.flatnonzero(end == v) for v in range(V)] for end in (TO, FROM))
_COLUMNS = np.zeros((V, V), dtype=np.intp)
_COLUMNS[FROM, TO] = np.arange(N_EDGES)
_BLOCK = 8_192  # rows whose intermediate arrays stay in the cache
_FEW = 256  # rows, up to which calls cost more than what they do
_ROUNDS = 3  # of colour refinement; two are enough to tell all 423,624 graphs apart
_SELF, _SOURCE, _TARGET = hashing.mix(np.arange(101, 104, dtype=np.uint64)) | np.uint64(1)

Columns = NDArray[np.bool_]  # (21, n)
Gather = Callable[[NDArray[np.uint64]], NDArray[np.uint64]]


def edges(X: Rows) -> Columns:
    """The edge bits as columns, shape (21, n)."""
    return np.ascontiguousarray(X[:, :N_EDGES].T).astype(bool)


def pruned(X: Rows) -> tuple[Columns, Columns]:
    """Edges (21, n) on a path from input to output, and the vertices (7, n) on one."""
    columns = edges(X)
    forward, backward = np.zeros((2, V, len(X)), dtype=bool)
    forward[0] = backward[-1] = True
    for v in range(1, V):
        forward[v] = (forward[:v] & columns[_INTO[v]]).any(axis=0)
    for v in reversed(range(V - 1)):
        backward[v] = (backward[v + 1 :] & columns[_OUT_OF[v]]).any(axis=0)
    there = forward & backward
    return columns & there[FROM] & there[TO], there


def class_key(X: Rows) -> NDArray[np.uint64]:
    """A 64-bit key, equal exactly for isomorphic pruned graphs; see `NB101.row_key`."""
    blocks = [X[start : start + _BLOCK] for start in range(0, len(X), _BLOCK)]
    return np.concatenate([np.zeros(0, dtype=np.uint64), *map(_refine, blocks)])


def _refine(X: Rows) -> NDArray[np.uint64]:
    columns, there = pruned(X)
    mask = there.astype(np.uint64)
    label = np.ones(mask.shape, dtype=np.uint64)
    label[0], label[1:-1] = 0, X[:, N_EDGES:].T + 2
    gathered = (_by_matrix if len(X) <= _FEW else _by_pair)(columns.astype(np.uint64))
    h = hashing.mix(label) * mask
    for _ in range(_ROUNDS):
        h = hashing.mix(gathered(h)) * mask
    return hashing.mix(h.sum(axis=0))


# What a vertex hears, modulo 2^64: _SELF h + _SOURCE (sum of h over edges into it)
# + _TARGET (over edges out of it), (7, n) from (7, n). Both ways give the same numbers: the first
# costs few calls, the second few operations.


def _by_matrix(bits: NDArray[np.uint64]) -> Gather:
    matrix = np.zeros((bits.shape[1], V, V), dtype=np.uint64)
    matrix[:, TO, FROM] = bits.T * _SOURCE
    matrix[:, FROM, TO] = bits.T * _TARGET
    matrix[:, range(V), range(V)] = _SELF
    return lambda h: np.matmul(matrix, h.T[:, :, None])[:, :, 0].T


def _by_pair(bits: NDArray[np.uint64]) -> Gather:
    def gathered(h: NDArray[np.uint64]) -> NDArray[np.uint64]:
        total: NDArray[np.uint64] = h * _SELF
        for (i, j), bit in zip(PAIRS, bits, strict=True):
            total[j] += bit * h[i] * _SOURCE
            total[i] += bit * h[j] * _TARGET
        return total

    return gathered


def adjacency(X: Rows) -> NDArray[np.bool_]:
    """Matrices, shape (n, 7, 7)."""
    matrix = np.zeros((len(X), V, V), dtype=bool)
    matrix[:, FROM, TO] = X[:, :N_EDGES]
    return matrix


def reorder(X: Rows, order: NDArray[np.intp]) -> Rows:
    """Rows whose inner vertex v is vertex `order[:, v - 1]` of the given ones; `order` (n, 5)."""
    n = len(X)
    full = np.concatenate([np.zeros((n, 1), int), order, np.full((n, 1), V - 1)], axis=1)
    line = np.arange(n)[:, None]
    matrix = adjacency(X)[line[:, :, None], full[:, :, None], full[:, None, :]]
    ops = X[line, N_EDGES + order - 1]
    return np.concatenate([matrix[:, FROM, TO], ops], axis=1).astype(X.dtype)


def insert(
    X: Rows, source: NDArray[np.intp], target: NDArray[np.intp], op: NDArray[np.intp]
) -> Rows:
    """The rows with one vertex more, source -> new -> target.

    Args:
        X: canonical rows of less than 7 vertices.
        source: one of its vertices, shape (n,).
        target: a later one, shape (n,); 6 is the output.
        op: of the new vertex, shape (n,).
    """
    line, place, new = np.arange(len(X)), np.arange(1, V - 1), source[:, None] + 1
    # the new vertex takes an empty place's content; those behind it move up by one
    order = np.where(place < new, place, np.where(place == new, V - 2, place - 1))
    rows = reorder(X, order)
    rows[line, _COLUMNS[source, source + 1]] = 1
    rows[line, _COLUMNS[source + 1, np.where(target == V - 1, V - 1, target + 1)]] = 1
    rows[line, N_EDGES + source] = op
    return rows


def pack(lines: Sequence[str], ops: Sequence[int]) -> list[int]:
    """The row of a matrix given by its lines; ValueError says what is wrong with them."""
    v = len(lines)
    if not 2 <= v <= V or len(ops) != v - 2:
        raise ValueError(f"{v} vertices, {len(ops)} operations between input and output")
    row = [0] * (N_EDGES + V - 2)
    for i, line in enumerate(lines):
        if len(line) != v or not {*line} <= {"0", "1"} or "1" in line[: i + 1]:
            raise ValueError(f"row {i} of the matrix, {line!r}")
        for j in range(i + 1, v):
            if line[j] == "1":
                row[COLUMN[i, j if j < v - 1 else V - 1]] = 1
    row[N_EDGES : N_EDGES + len(ops)] = ops
    return row


def module_hash(matrix: NDArray[np.bool_], labels: Sequence[int]) -> str:
    """The published hash of one graph; see `NB101.md5_hash`."""

    def md5(text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    v = range(len(labels))
    sources = [[i for i in v if matrix[i, j]] for j in v]
    targets = [[j for j in v if matrix[i, j]] for i in v]
    hashes = [md5(str((len(targets[i]), len(sources[i]), labels[i]))) for i in v]
    for _ in v:
        hashes = [
            md5(
                "".join(sorted(hashes[i] for i in sources[k]))
                + "|"
                + "".join(sorted(hashes[j] for j in targets[k]))
                + "|"
                + hashes[k]
            )
            for k in v
        ]
    return md5(str(sorted(hashes)))


@functools.cache
def all_classes() -> Rows:
    """One row of each class, shape (423624, 26), read-only; few vertices first.

    For each number of vertices: all upper triangular matrices in which every vertex but the input
    has a source and every vertex but the output a target; one of each class; all operations on
    each; one of each class again.
    """
    blocks = []
    for v in range(2, V + 1):
        shapes = _first_of_class(_unlabelled(v))
        labels = np.array(list(itertools.product(range(N_OPS), repeat=v - 2)), dtype=np.int8)
        rows = np.repeat(shapes, len(labels), axis=0)
        rows[:, N_EDGES : N_EDGES + v - 2] = np.tile(labels, (len(shapes), 1))
        blocks.append(_first_of_class(rows))
    table = np.concatenate(blocks)
    table.flags.writeable = False
    return table


def _unlabelled(v: int) -> Rows:
    """All connected graphs of `v` vertices with at most 9 edges, every operation 0."""
    pairs = list(itertools.combinations(range(v), 2))
    code = np.arange(2 ** len(pairs), dtype=np.uint32)
    for u in range(v):
        into = sum(1 << k for k, (_, j) in enumerate(pairs) if j == u)
        out_of = sum(1 << k for k, (i, _) in enumerate(pairs) if i == u)
        for mask in (into, out_of):
            if mask:
                code = code[(code & np.uint32(mask)) != 0]
    bits = (code[:, None] >> np.arange(len(pairs), dtype=np.uint32)) & np.uint32(1)
    bits = bits[bits.sum(axis=1) <= MAX_EDGES].astype(np.int8)
    rows = np.zeros((len(bits), N_EDGES + V - 2), dtype=np.int8)
    rows[:, [COLUMN[i, j if j < v - 1 else V - 1] for i, j in pairs]] = bits
    return rows


def _first_of_class(rows: Rows) -> Rows:
    return rows[np.sort(np.unique(class_key(rows), return_index=True)[1])]
