"""`arch2vec`: one hop by hand, cells drawn again from their latents."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

import foretell as ft
from foretell.encodings.arch2vec import GIN, Arch2Vec
from foretell.graphs.pretraining import (
    seeded,
)
from foretell.graphs.tensors import batch

NB201 = ft.spaces.get("nb201")
NB101 = ft.spaces.get("nb101")
WORDS = len(NB201.vocabulary)
QUICK = {"rows": 64, "steps": 5}


def tensors(graphs, words=WORDS):
    return batch(graphs, np.zeros((len(graphs.ops), 0), dtype=np.float32), words)


def test_cells_are_drawn_again_from_their_latents():
    """NAS-Bench-201, of which a tenth was seen: above 95 % of operations and of edges."""
    encoding = Arch2Vec(NB201, hidden=32, rows=1500, steps=200)
    X = NB201.sample(3000, rng=5)
    ops, edges, whole = encoding.module().fidelity(encoding.graphs(X))
    graphs = NB201.graphs(X)
    there = graphs.ops >= 0
    # what is right for a graph without looking: the commonest word, no edge anywhere
    words = np.bincount(graphs.ops[there])
    pairs = there.sum(axis=1) * (there.sum(axis=1) - 1) / 2
    assert words.max() / words.sum() < 0.5
    assert 1 - graphs.adjacency.sum() / pairs.sum() < 0.7
    assert ops > 0.95
    assert edges > 0.95
    assert whole > 0.7


def test_hop_by_hand():
    """One hop of the network at one vertex, from its equation."""
    for directed in (True, False):
        with seeded(1):
            net = GIN(WORDS, 4, 1, directed).double().eval()
            nn.init.constant_(net.epsilon, 0.3)
        graphs = tensors(NB201.graphs(np.array([[3, 1, 2, 1, 4, 3]])))
        H = net.enter.weight[graphs.ops[0]]
        states = net(graphs)[0]
        for i in range(len(H)):
            before = sum((H[j] for j in range(len(H)) if graphs.adjacency[0, j, i]), 0 * H[0])
            after = sum((H[j] for j in range(len(H)) if graphs.adjacency[0, i, j]), 0 * H[0])
            own = 1.3 * H[i]
            seen = torch.cat([own, before, after]) if directed else own + before + after
            assert torch.allclose(states[i], net.hops[0](seen[None])[0])
