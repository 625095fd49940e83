"""The network with a global vertex: its equation, relabelling, batch normalisation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from foretell.graphs.tensors import batch
from foretell.predictors.parts.global_net import BatchNorm, GlobalNet, with_global
from foretell.spaces.base import Graphs


def random_graphs(n, v, words):
    rng = np.random.default_rng(0)
    ops = rng.integers(-1, words, size=(n, v)).astype(np.int8)
    ops[:, 0], ops[:, -1] = 0, 1
    there = ops >= 0
    adjacency = np.triu(rng.random((n, v, v)) < 0.4, 1) & there[:, :, None] & there[:, None, :]
    return Graphs(ops, adjacency)


def network(norm="layer", words=5, head=(12,)):
    settings = {"hidden": 6, "layers": 3, "head": head, "norm": norm, "dropout": 0.0}
    generator = torch.Generator().manual_seed(0)
    net = GlobalNet(2, words, 0, generator=generator, **settings)
    with torch.no_grad():  # biases start at 0, scales at 1: these tell more
        for weight in net.parameters():
            weight += 0.2 * torch.randn(weight.shape, generator=generator)
    for one in net.norms:
        if isinstance(one, BatchNorm):
            one.mean += 0.1
            one.variance *= 0.05
    return net.eval()


def seen(graphs, words=5):
    return with_global(
        batch(graphs, np.zeros((len(graphs.ops), 0), dtype=np.float32), words), words
    )


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_network_equals_the_equation_vertex_by_vertex(norm):
    graphs, net = random_graphs(12, 6, words=5), network(norm)
    scores = net(seen(graphs)).detach().numpy()
    for m, i in itertools.product(range(2), range(12)):
        there = np.flatnonzero(graphs.ops[i] >= 0)
        ops, adjacency = graphs.ops[i][there], graphs.adjacency[i][np.ix_(there, there)]
        H = np.eye(6)[[5, *ops]]  # the global vertex first
        for one, scaled in zip(net.maps, net.norms, strict=True):
            W, b = one.weight[m].detach().numpy(), one.bias[m, 0].detach().numpy()
            Z, new = H @ W + b, []
            for k in range(len(H)):
                sources = [k, *(1 + np.flatnonzero(adjacency[:, k - 1]))] if k else range(len(H))
                mean = Z[list(sources)].mean(axis=0)
                if norm == "layer":
                    mean = (mean - mean.mean()) / np.sqrt(mean.var() + 1e-5)
                else:
                    running = scaled.variance[m, 0, 0].numpy()
                    mean = (mean - scaled.mean[m, 0, 0].numpy()) / np.sqrt(running + 1e-5)
                scale, shift = (x[m, 0, 0].detach().numpy() for x in (scaled.scale, scaled.shift))
                new.append(np.maximum(scale * mean + shift, 0))
            H = np.stack(new)
        head, out = net.head.maps[0], net.out
        wide = H[0] @ head.weight[m].detach().numpy() + head.bias[m, 0].detach().numpy()
        expected = np.maximum(wide, 0) @ out.weight[m, :, 0].detach().numpy()
        expected += out.bias[m, 0, 0].detach().numpy()
        assert scores[m, i] == pytest.approx(float(expected), abs=1e-4)
    assert scores.std(axis=1).min() > 1e-3


@pytest.mark.parametrize("norm", ["layer", "batch"])
@pytest.mark.parametrize("training", [False, True])
def test_scores_do_not_change_when_vertices_are_renamed_or_padded(norm, training):
    graphs, net = random_graphs(20, 7, words=5), network(norm).train(training)
    rng = np.random.default_rng(2)
    order = np.stack([rng.permutation(7) for _ in range(20)])
    line = np.arange(20)[:, None]
    renamed = Graphs(
        np.pad(graphs.ops[line, order], ((0, 0), (1, 2)), constant_values=-1),
        np.pad(
            graphs.adjacency[line[:, :, None], order[:, :, None], order[:, None, :]],
            ((0, 0), (1, 2), (1, 2)),
        ),
    )
    before, after = (net(seen(g)).detach().numpy() for g in (graphs, renamed))
    np.testing.assert_allclose(before, after, atol=1e-5)


def test_batch_normalisation_against_torch():
    H = torch.randn(1, 40, 3, 5, generator=torch.Generator().manual_seed(0)) * 2 + 1
    there = torch.ones(40, 3)
    there[:25, 2] = 0.0
    ours, peer = BatchNorm(1, 5), torch.nn.BatchNorm1d(5)
    flat = H[0][there.bool()]
    torch.testing.assert_close(ours(H, there)[0][there.bool()], peer(flat))
    torch.testing.assert_close(ours.mean.flatten(), peer.running_mean)
    unbiased = len(flat) / (len(flat) - 1)  # torch's running variance divides by one less
    expected = (peer.running_var - 0.9) / unbiased + 0.9
    torch.testing.assert_close(ours.variance.flatten(), expected)
