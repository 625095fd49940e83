"""Learnt encodings: architectures are drawn again, numbering is forgotten, files come back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import foretell as ft
from foretell.encodings.arch2vec import GIN, Arch2Vec
from foretell.encodings.cate import CATE, Transformer, dependencies
from foretell.errors import DataError, SettingError
from foretell.graphs.pretraining import (
    Autoencoder,
    load_weights,
    pretrain,
    save_weights,
    seeded,
)
from foretell.graphs.tensors import batch, mean
from foretell.spaces.base import Graphs
from foretell.testing._globals import global_states

NB201 = ft.spaces.get("nb201")
NB101 = ft.spaces.get("nb101")
WORDS = len(NB201.vocabulary)
QUICK = {"rows": 64, "steps": 5}


def tensors(graphs, words=WORDS):
    return batch(graphs, np.zeros((len(graphs.ops), 0), dtype=np.float32), words)


def shuffled(graphs, seed=0):
    """The same graphs with vertices in another order."""
    rng = np.random.default_rng(seed)
    n, v = graphs.ops.shape
    order = rng.permuted(np.tile(np.arange(v), (n, 1)), axis=1)
    line = np.arange(n)[:, None, None]
    edges = graphs.adjacency[line, order[:, :, None], order[:, None, :]]
    return Graphs(np.take_along_axis(graphs.ops, order, axis=1), edges)


# -- the autoencoder ----------------------------------------------------------------------------


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


# -- both encodings -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Arch2Vec, CATE])
@pytest.mark.parametrize("space", [NB201, NB101], ids=lambda s: s.name)
def test_unchanged_when_vertices_are_renamed(kind, space):
    encoding = kind(space, **QUICK)
    module, words = encoding.module(), len(space.vocabulary)
    graphs = space.graphs(space.sample(40, rng=1))
    one, other = (encoding._embed(module, tensors(g, words)) for g in (graphs, shuffled(graphs)))
    assert torch.allclose(one, other, atol=1e-10)
    assert one.std(dim=0).max() > 1e-4  # and not all the same


@pytest.mark.parametrize("kind", [Arch2Vec, CATE])
def test_weights_come_back_from_a_file(kind, tmp_path):
    encoding = kind(NB201, seed=3, **QUICK)
    X = NB201.sample(20, rng=0)
    path = tmp_path / "weights.safetensors"
    encoding.save(path)
    read = kind(NB201, path=path)  # other rows, steps and seed: nothing is learnt
    assert np.allclose(read.transform(X), encoding.transform(X), rtol=1e-5, atol=1e-6)
    assert not np.allclose(kind(NB201, seed=4, **QUICK).transform(X), encoding.transform(X))


def test_wrong_files_are_refused_in_one_line(tmp_path):
    X = NB201.sample(2, rng=0)
    with pytest.raises(DataError, match=r"expected a \.safetensors file"):
        Arch2Vec(NB201, path=tmp_path / "none.safetensors").transform(X)
    (tmp_path / "text.safetensors").write_text("hello")
    with pytest.raises(DataError, match="text"):
        Arch2Vec(NB201, path=tmp_path / "text.safetensors").transform(X)
    Arch2Vec(NB201, **QUICK).save(tmp_path / "nb201.safetensors")
    with pytest.raises(DataError, match="of another network"):
        Arch2Vec(NB101, path=tmp_path / "nb201.safetensors").transform(NB101.sample(2, rng=0))
    save_file({"x": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(DataError, match=r"got none|got shape \(2,\)"):
        CATE(NB201, path=tmp_path / "other.safetensors").transform(X)


@pytest.mark.parametrize("kind", [Arch2Vec, CATE])
def test_learnt_once_and_without_touching_global_state(kind):
    """A second encoding of equal settings shares the network; random states stay as they were."""
    before = global_states()
    first = kind(NB201, seed=11, **QUICK)
    module = first.module()
    assert global_states() == before
    assert kind(NB201, seed=11, **QUICK).module() is module
    assert kind(NB201, seed=12, **QUICK).module() is not module


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (Arch2Vec, {"rows": 0}),
        (Arch2Vec, {"steps": 0}),
        (Arch2Vec, {"hidden": 0}),
        (CATE, {"latent": 6}),
        (CATE, {"layers": 0}),
        (CATE, {"hide": 0.0}),
    ],
)
def test_settings_are_checked(kind, settings):
    with pytest.raises(SettingError, match=next(iter(settings))):
        kind(NB201, **settings).transform(NB201.sample(1, rng=0))


# -- CATE -----------------------------------------------------------------------------------------


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


def test_mean_leaves_out_what_is_not_there():
    states = torch.tensor([[[1.0], [3.0], [100.0]]])
    assert mean(states, torch.tensor([[True, True, False]])).tolist() == [[2.0]]
    assert mean(states, torch.zeros(1, 3, dtype=torch.bool)).tolist() == [[0.0]]
