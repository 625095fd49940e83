"""Pretraining on graphs: its loss by hand, any encoder, weights in files."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import foretell as ft
from foretell.encodings.arch2vec import GIN
from foretell.graphs.pretraining import (
    Autoencoder,
    load_weights,
    pretrain,
    save_weights,
    seeded,
)
from foretell.graphs.tensors import batch, mean

NB201 = ft.spaces.get("nb201")
NB101 = ft.spaces.get("nb101")
WORDS = len(NB201.vocabulary)
QUICK = {"rows": 64, "steps": 5}


def tensors(graphs, words=WORDS):
    return batch(graphs, np.zeros((len(graphs.ops), 0), dtype=np.float32), words)


def test_loss_and_divergence_by_hand():
    """The loss of one graph from its latents, term by term, with the noise of the same seed."""
    graphs = tensors(NB201.graphs(np.array([[3, 0, 2, 1, 4, 3]])))
    with seeded(0):
        model = Autoencoder(GIN(WORDS, 8, 2, True), 8, WORDS, 3, beta=0.1).double().eval()
        m, log_variance = (one[0].detach() for one in model.latents(graphs))
    with seeded(5):
        loss = float(model.loss(graphs).detach())
    with seeded(5):
        z = m + (0.5 * log_variance).exp() * torch.randn(1, *m.shape)[0]
    U, (u, w), (bu, bw) = model.link.weight, model.ends.weight, model.ends.bias
    there = [i for i in range(len(z)) if int(graphs.ops[0, i]) < WORDS]
    op = [-model.word(z[i]).log_softmax(0)[graphs.ops[0, i]] for i in there]
    edge = []
    for i in there:
        for j in there:
            if i < j:
                p = torch.sigmoid((U @ z[i]) @ z[j] + u @ z[i] + w @ z[j] + bu + bw)
                edge.append(-(p if graphs.adjacency[0, i, j] else 1 - p).log())
    normal = torch.distributions.Normal
    spread = (0.5 * log_variance).exp()
    kl = [
        torch.distributions.kl_divergence(normal(m[i], spread[i]), normal(0.0, 1.0)).sum()
        for i in there
    ]
    by_hand = sum(op) / len(op) + sum(edge) / len(edge) + 0.1 * sum(kl) / len(kl)
    assert loss == pytest.approx(float(by_hand.detach()), rel=1e-6)


def test_any_encoder_can_be_pretrained_kept_and_reused(tmp_path):
    """An encoder of the user's own learns to draw graphs; its weights go to another network."""

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.enter = nn.Embedding(WORDS + 1, 16)
            self.mix = nn.Linear(32, 16)

        def forward(self, graphs):
            H = self.enter(graphs.ops)
            for _ in range(2):
                H = torch.relu(self.mix(torch.cat([H, graphs.adjacency.mT.float() @ H], -1)))
            return H

    graphs = tensors(NB201.graphs(NB201.sample(256, rng=0)))
    with seeded(0):
        model = Autoencoder(Own(), 16, WORDS, 8)
        before = model.fidelity(graphs)
        groups = torch.arange(256)[:, None]
        pretrain(model, graphs, steps=150, lr=1e-2, groups=groups, batch_size=32)
    after = model.fidelity(graphs)
    assert after.ops > max(before.ops, 0.9)
    assert after.edges > before.edges + 0.1
    save_weights(model.encoder, tmp_path / "own.safetensors")
    other = Own()
    load_weights(other, tmp_path / "own.safetensors")
    assert torch.equal(other(graphs), model.encoder(graphs))


def test_mean_leaves_out_what_is_not_there():
    states = torch.tensor([[[1.0], [3.0], [100.0]]])
    assert mean(states, torch.tensor([[True, True, False]])).tolist() == [[2.0]]
    assert mean(states, torch.zeros(1, 3, dtype=torch.bool)).tolist() == [[0.0]]
