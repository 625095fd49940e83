"""`cate`: dependencies by a walk, pairs of like size, hidden operations told."""

from __future__ import annotations

import numpy as np
import torch

import foretell as ft
from foretell.encodings.cate import CATE, Transformer, dependencies
from foretell.graphs.pretraining import (
    pretrain,
    seeded,
)
from foretell.graphs.tensors import batch

NB201 = ft.spaces.get("nb201")
NB101 = ft.spaces.get("nb101")
WORDS = len(NB201.vocabulary)
QUICK = {"rows": 64, "steps": 5}


def tensors(graphs, words=WORDS):
    return batch(graphs, np.zeros((len(graphs.ops), 0), dtype=np.float32), words)


def test_dependencies_are_those_of_a_walk():
    X = NB101.sample(30, rng=0)
    graphs = NB101.graphs(X)
    heads = dependencies(torch.from_numpy(graphs.adjacency)).numpy()
    v = graphs.ops.shape[1]
    for A, (before, after, ancestors, descendants) in zip(graphs.adjacency, heads, strict=True):
        reach = np.eye(v, dtype=bool)
        for j in range(v):  # topological order: ancestors of j from those of its predecessors
            for i in np.flatnonzero(A[:, j]):
                reach[j] |= reach[i]
        assert np.array_equal(ancestors, reach)
        assert np.array_equal(descendants, reach.T)
        assert np.array_equal(after, A | np.eye(v, dtype=bool))
        assert np.array_equal(before, A.T | np.eye(v, dtype=bool))


def test_pairs_are_of_similar_size():
    encoding = CATE(NB201)
    X = NB201.sample(300, rng=0)
    size = NB201.costs(X).params.astype(float)
    pairs = encoding._groups(X)
    assert sorted(np.unique(pairs)) == list(range(300))
    apart = np.abs(size[pairs[:, 0]] - size[pairs[:, 1]])
    random = np.abs(size[:, None] - size[None]).mean()
    assert apart.mean() < 0.1 * random
    own = ft.Space.from_choices({"a": [1, 2, 3], "b": ["x", "y"]}, build=print)
    assert CATE(own)._groups(own.sample(1, rng=0)).tolist() == [[0, 0]]
    assert CATE(own)._groups(own.sample(9, rng=0)).shape == (15, 2)


def test_hidden_operations_are_told_better_than_by_their_frequency():
    """Cross-entropy of hidden operations on unseen cells is below that of guessing by frequency."""
    X = NB201.sample(1500, rng=0)
    graphs = tensors(NB201.graphs(X))
    with seeded(0):
        net = Transformer(WORDS, 32, 2, 0.2)
        pairs = torch.from_numpy(CATE(NB201)._groups(X[:1000]))
        pretrain(net, graphs, steps=150, lr=3e-3, groups=pairs, batch_size=24)
        unseen = torch.arange(1000, 1500)
        loss = float(net.eval().loss(graphs.take(unseen)).detach())
    ops = graphs.ops[graphs.ops < WORDS]
    share = torch.bincount(ops, minlength=WORDS) / len(ops)
    smooth = 0.9 * share + 0.1 / WORDS
    guess = float(-(share[:, None] * (0.9 * torch.eye(WORDS) + 0.1 / WORDS) * smooth.log()).sum())
    assert loss < guess - 0.1
