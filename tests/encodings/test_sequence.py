"""Sequence and graph tensors: the graph comes back from them; lengths of the papers."""

from __future__ import annotations

import numpy as np
import pytest

import foretell as ft
from foretell.encodings.graph_tensors import GraphTensors
from foretell.encodings.sequence import Sequence, tokens
from foretell.graphs.view import compact
from foretell.spaces.base import Graphs

NB201 = ft.spaces.get("nb201")
NB101 = ft.spaces.get("nb101")
MOBILE = ft.spaces.get("mobile")
each_space = pytest.mark.parametrize("space", [NB201, NB101, MOBILE], ids=lambda s: s.name)


def read(sequence, v):
    """The graph of a sequence, token by token, as the paper's grammar says."""
    ops, edges, at = [0], set(), 0
    for j in range(1, v):
        bits, word = sequence[at : at + j], sequence[at + j]
        at += j + 1
        if word == 0:
            assert not any(bits)
            continue
        edges |= {(i, j) for i, bit in enumerate(bits) if bit == 2}
        ops.append(int(word) - 2)
    assert at == len(sequence)
    return ops, edges


@each_space
def test_the_graph_can_be_read_back(space):
    X = space.sample(60, rng=0)
    ops, adjacency = space.graphs(X)
    for row, sequence in enumerate(Sequence(space).transform(X)):
        there = np.flatnonzero(ops[row] >= 0)
        place = {int(vertex): k for k, vertex in enumerate(there)}
        edges = {(place[int(i)], place[int(j)]) for i, j in np.argwhere(adjacency[row])}
        assert read(sequence, ops.shape[1]) == (ops[row][there].tolist(), edges)


def test_lengths_and_vocabularies_of_the_papers():
    # NAO and SemiNAS on NAS-Bench-101: 27 tokens of a vocabulary of 7 (pad, 1, 2, output, 3 ops)
    sequences = Sequence(NB101).transform(NB101.sample(500, rng=0))
    assert sequences.shape[1] == 27
    assert set(np.unique(sequences)) == set(range(7))
    assert Sequence(NB201).transform(NB201.sample(1, rng=0)).shape[1] == 35


def test_tokens_by_vertex_are_the_same_tokens():
    graphs = NB101.graphs(NB101.sample(50, rng=0))
    steps = tokens(graphs)
    assert steps.shape == (50, 6, 7)
    for j in range(1, 7):
        assert not steps[:, j - 1, j:-1].any()  # no edge from later vertices


@each_space
def test_dead_vertices_leave_no_trace(space):
    """A graph with holes is encoded as the one without."""
    graphs = space.graphs(space.sample(40, rng=0))
    moved = compact(graphs)
    there = moved.ops >= 0
    assert np.array_equal(there, np.sort(there, axis=1)[:, ::-1])  # first those that are there
    assert np.array_equal(tokens(graphs), tokens(moved))
    for row in range(40):
        kept = np.flatnonzero(graphs.ops[row] >= 0)
        k = len(kept)
        assert np.array_equal(moved.ops[row, :k], graphs.ops[row, kept])
        inner = graphs.adjacency[row][np.ix_(kept, kept)]
        assert np.array_equal(moved.adjacency[row, :k, :k], inner)
        assert moved.adjacency[row].sum() == graphs.adjacency[row].sum()


@each_space
def test_graph_tensors_hold_operations_and_edges(space):
    X = space.sample(40, rng=0)
    encoding = GraphTensors(space)
    hot, adjacency = encoding.tensors(X)
    ops, edges = compact(space.graphs(X))
    assert np.array_equal(np.where(hot.any(axis=2), hot.argmax(axis=2), -1), ops)
    assert np.array_equal(adjacency, edges)
    v, words = hot.shape[1:]
    features = encoding.transform(X)
    assert features.shape == (40, v * words + v * (v - 1) // 2)
    assert np.array_equal(features.sum(axis=1), hot.sum((1, 2)) + edges.sum((1, 2)))


def test_no_vertices_between():
    """The empty network: input and output alone, with and without an edge."""
    ops = np.array([[0, -1, 1]] * 2)
    adjacency = np.zeros((2, 3, 3), dtype=bool)
    adjacency[1, 0, 2] = True
    steps = tokens(Graphs(ops, adjacency))
    assert steps.tolist() == [[[1, 0, 3], [0, 0, 0]], [[2, 0, 3], [0, 0, 0]]]
