"""FLAN: the whole network by hand, invariance, encodings beside, a real table."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import foretell as ft
from foretell.errors import SettingError
from foretell.graphs.tensors import Batch, batch
from foretell.metrics import kendall
from foretell.predictors.flan import FLAN, FlowAttention
from foretell.predictors.gates import flow
from foretell.spaces.base import Graphs

NB201 = ft.spaces.get("nb201")
FAST = {"hidden": 8, "embed": 4, "members": 2, "epochs": 5, "min_steps": 20}


def network(words=6, features=3, **changes):
    settings = {
        "embed": 4,
        "hidden": 5,
        "layers": 2,
        "steps": 2,
        "head": [4],
        "side": [3],
        "dropout": 0.0,
        "generator": torch.Generator().manual_seed(0),
    }
    net = FlowAttention(2, words, features, **{**settings, **changes})
    draw = torch.Generator().manual_seed(1)
    for weights in net.parameters():  # biases too
        weights.data = torch.randn(weights.shape, generator=draw) / 2.0
    return net


def random_graphs(n, v, words, seed=0):
    rng = np.random.default_rng(seed)
    ops = rng.integers(2, words, size=(n, v))
    ops[:, 0], ops[:, -1] = 0, 1
    adjacency = np.triu(rng.random((n, v, v)) < 0.5, 1)
    adjacency[:, 0, 1] = True
    return Graphs(ops, adjacency)


# -- oracles ------------------------------------------------------------------------------------


def sigma(x):
    return 1.0 / (1.0 + np.exp(-x))


def mlp(layers, m, x):
    for k, one in enumerate(layers.maps):
        x = np.maximum(x, 0) if k else x
        x = x @ one.weight[m].detach().double().numpy() + one.bias[m, 0].detach().double().numpy()
    return x


def layers_by_hand(layers, m, h, e, leads):
    """`leads[i]`: the vertices that i takes from."""
    count, width = len(layers.values), h.shape[1]
    gate = sigma(
        e @ layers.gates.weight[m].detach().double().numpy()
        + layers.gates.bias[m, 0].detach().double().numpy()
    )
    for k in range(count):
        V = layers.values[k].weight[m].detach().double().numpy()
        u = layers.attend[k][m, 0].detach().double().numpy()
        bias = layers.biases[k, m, 0, 0].detach().double().numpy()
        flowing, attended, new = h @ V[:, :width], h @ V[:, width:], np.zeros_like(h)
        for i, before in enumerate(leads):
            g_1, g_2 = gate[i].reshape(2 * count, width)[2 * k : 2 * k + 2]
            straight = g_1 * sum((flowing[j] for j in before), np.zeros(width))
            straight = straight + flowing[i] + bias
            logits = np.array([u @ (attended[i] * attended[j]) for j in before])
            weights = np.exp(np.where(logits > 0, logits, 0.2 * logits))
            taken = np.zeros(width)
            if before:
                taken = g_2 * (weights @ attended[before] / weights.sum())
            normal = (taken - taken.mean()) / np.sqrt(taken.var() + 1e-5)
            new[i] = (straight + normal) / 2
        h = np.maximum(new, 0) if k + 1 < count else new
    return h


def by_hand(net, m, ops, adjacency, features):
    into = [list(np.flatnonzero(adjacency[:, i])) for i in range(len(ops))]
    out_of = [list(np.flatnonzero(adjacency[i])) for i in range(len(ops))]
    e = net.embedding[m].detach().double().numpy()[ops]
    e[0] = 0.0
    begin = net.begin[m].detach().double().numpy()
    first = np.array([begin[0]] + [begin[1]] * (len(ops) - 1))
    h = layers_by_hand(net.forth, m, first, e, into)
    for _ in range(net.steps - 1):
        ends = np.zeros_like(h)
        ends[-1] = mlp(net.turn, m, h[-1])
        back = layers_by_hand(net.back, m, ends, e, out_of)
        e = e + 0.1 * mlp(net.update, m, np.concatenate([e, h, back], axis=1))
        h = layers_by_hand(net.forth, m, first, e, into)
    wide = np.concatenate([h[1:].mean(0), mlp(net.side, m, features)])
    return float(mlp(net.head, m, wide)[0])


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_network_equals_the_equations_vertex_by_vertex(steps):
    graphs = random_graphs(8, 5, words=6)
    features = np.random.default_rng(1).normal(size=(8, 3)).astype(np.float32)
    net = network(steps=steps)
    scores = net(flow(batch(graphs, features, 6), 6, "mean")).detach().numpy()
    expected = [
        [by_hand(net, m, graphs.ops[i], graphs.adjacency[i], features[i]) for i in range(8)]
        for m in range(2)
    ]
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-4)
    assert scores.std() > 0.01


def test_scores_do_not_change_when_vertices_are_renamed():
    graphs = random_graphs(20, 7, words=6)
    rng = np.random.default_rng(2)
    order = np.stack([rng.permutation(7) for _ in range(20)])
    line = np.arange(20)[:, None]
    renamed = Graphs(
        graphs.ops[line, order],
        graphs.adjacency[line[:, :, None], order[:, :, None], order[:, None, :]],
    )
    net, none = network(features=0), np.zeros((20, 0), dtype=np.float32)
    before, after = (net(flow(batch(g, none, 6), 6, "mean")) for g in (graphs, renamed))
    torch.testing.assert_close(before, after, atol=1e-4, rtol=1e-4)
    assert before.std() > 1e-2


def test_vertices_that_are_not_there_do_not_matter():
    graphs, net = random_graphs(6, 5, words=6), network(features=0)
    seen = batch(graphs, np.zeros((6, 0), dtype=np.float32), 6)
    wide = Batch(
        torch.nn.functional.pad(seen.ops, (0, 3), value=6),
        torch.nn.functional.pad(seen.adjacency, (0, 3, 0, 3)),
        seen.features,
    )
    scores = [net(flow(one, 6, "mean")) for one in (seen, wide)]
    torch.testing.assert_close(scores[0], scores[1], atol=1e-5, rtol=1e-5)


def test_any_encodings_stand_beside():
    X = NB201.sample(30, rng=0)
    names = ("one-hot", "path")
    model = FLAN(NB201, **FAST, encoding=names, side=(6, 5), random_state=0)
    model.fit(X, (X == 3).sum(axis=1))
    assert model.net_.side.maps[0].weight.shape == (2, 30 + model_paths() + 1, 6)
    assert np.isfinite(model.predict(X)).all()


def model_paths():
    return ft.encodings.get("path", NB201).transform(NB201.sample(1, rng=0)).shape[1]


# -- behaviour ----------------------------------------------------------------------------------


def test_learns_a_real_table(data_dir):
    table = ft.Table.open(data_dir / "nb201.csv.gz", space=NB201)
    rows = np.random.default_rng(100).permutation(len(table.X))[:600]
    X, y = table.X[rows], table.query(table.X[rows], "cifar10_test_200ep")
    model = FLAN(NB201, members=1, epochs=15, min_steps=50, random_state=0)
    assert kendall(y[100:], model.fit(X[:100], y[:100]).predict(X[100:])) > 0.65


@pytest.mark.parametrize("setting", ["embed", "hidden", "layers", "steps"])
def test_settings_are_checked(setting):
    X = NB201.sample(4, rng=0)
    with pytest.raises(SettingError, match=setting):
        FLAN(NB201, **{setting: 0}).fit(X, np.arange(4.0))
