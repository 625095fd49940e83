"""PINAT: its layers by hand, invariance under renumbering, padding, a real table."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import foretell as ft
from foretell.errors import SettingError
from foretell.graphs.order import canonical
from foretell.graphs.tensors import batch
from foretell.metrics import kendall
from foretell.predictors.pinat import PINAT, SetConvolution, SetStack, Transformer, tokens
from foretell.spaces.base import Graphs

NB201 = ft.spaces.get("nb201")
FAST = {"hidden": 8, "inner": 8, "head": 8, "members": 2, "epochs": 5, "min_steps": 20}


class Renumbered(ft.spaces.get("nb201").__class__):
    """The cells of the space with the vertices of each in a random order."""

    def graphs(self, X):
        graphs = super().graphs(X)
        order = np.argsort(np.random.default_rng(0).random(graphs.ops.shape), axis=1)
        line = np.arange(len(order))[:, None]
        return Graphs(
            graphs.ops[line, order],
            graphs.adjacency[line[:, :, None], order[:, :, None], order[:, None, :]],
        )


def leaky(x):
    return x if x > 0 else 0.2 * x


def network(words=7, positions=8, features=3, members=2, **changes):
    settings = {
        "hidden": 8,
        "blocks": 2,
        "heads": 2,
        "head_width": 4,
        "set_hidden": 4,
        "set_heads": 3,
        "inner": 8,
        "head": 6,
        "dropout": 0.0,
        "generator": torch.Generator().manual_seed(0),
    }
    return Transformer(members, words, positions, features, **{**settings, **changes})


# -- oracles ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mean", [False, True])
def test_set_convolution_equals_the_equation_vertex_by_vertex(mean):
    rng = np.random.default_rng(0)
    layer = SetConvolution(2, 3, 4, 2, torch.Generator().manual_seed(0), mean=mean)
    for weights in layer.parameters():  # biases too
        weights.data = torch.from_numpy(rng.normal(size=weights.shape).astype(np.float32))
    H = rng.normal(size=(2, 1, 5, 3))
    into = np.tril(rng.random((5, 5)) < 0.5, -1) + np.eye(5)
    out = layer(torch.from_numpy(H).float(), torch.from_numpy(into[None]).float())
    for member in range(2):
        T = layer.spread.weight[member].detach().double().numpy().reshape(3, 2, 4)
        u, v, w, b, c = (
            one[member].detach().double().numpy().squeeze()
            for one in (layer.u, layer.v, layer.w, layer.b, layer.c)
        )
        for i in range(5):
            heads = np.zeros((2, 4))
            for o in range(4):
                m = [
                    sum(
                        leaky(u[o] * (H[member, 0, j] @ T[:, t, o]) + v[o])
                        for j in range(5)
                        if into[i, j]
                    )
                    for t in range(2)
                ]
                for h in range(2):
                    mixed = w[0, h, o] * m[0] + w[1, h, o] * m[1] + b[h, o]
                    heads[h, o] = c[h, o] * leaky(mixed)
            expected = heads.mean(0) if mean else heads.ravel()
            np.testing.assert_allclose(out[member, 0, i].detach(), expected, rtol=1e-4, atol=1e-4)


def test_stack_is_equivariant():
    draw = torch.Generator().manual_seed(0)
    stack = SetStack(2, 5, 4, 2, 6, draw)
    H, into = torch.randn(2, 3, 7, 5, generator=draw), torch.rand(3, 7, 7, generator=draw).round()
    order = torch.randperm(7, generator=draw)
    before = stack(H, into)[:, :, order]
    after = stack(H[:, :, order], into[:, order][:, :, order])
    torch.testing.assert_close(before, after)
    assert before.std() > 0.01


def test_size_of_the_paper():
    X = ft.spaces.get("nb101").sample(12, rng=0)
    model = PINAT.paper(ft.spaces.get("nb101"), random_state=0, epochs=1).fit(X, np.arange(12.0))
    assert sum(w.numel() for w in model.net_.parameters()) == pytest.approx(0.55e6, rel=0.01)


def test_predictions_do_not_change_when_vertices_are_renumbered():
    X = NB201.sample(40, rng=0)
    model = PINAT(NB201, **FAST, random_state=0).fit(X, (X == 3).sum(axis=1) + 0.1 * X[:, 0])
    before = model.predict(X)
    model.space = Renumbered()
    np.testing.assert_allclose(model.predict(X), before, rtol=1e-5)
    assert before.std() > 0.1


def test_the_laplacian_tells_vertices_apart():
    # a graph whose two middle vertices are renumbered without the order of their own
    ops = np.array([[0, 2, 3, 1], [0, 3, 2, 1]])
    adjacency = np.zeros((2, 4, 4), dtype=bool)
    adjacency[:, [0, 0, 1, 2], [1, 2, 3, 3]] = True
    none, net = np.zeros((2, 0), dtype=np.float32), network(features=0)
    raw = Graphs(ops, adjacency)
    scores = [net(tokens(batch(g, none, 7), 7, 8)) for g in (raw, canonical(raw))]
    assert (scores[0][:, 0] - scores[0][:, 1]).abs().max() > 1e-5
    torch.testing.assert_close(scores[1][:, 0], scores[1][:, 1])


def test_scores_do_not_depend_on_the_other_graphs():
    graphs = canonical(NB201.graphs(NB201.sample(20, rng=1)))
    features = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    net = network()
    together = net(tokens(batch(graphs, features, 7), 7, 8))
    alone = [
        net(tokens(batch(Graphs(*(g[i : i + 1] for g in graphs)), features[i : i + 1], 7), 7, 8))
        for i in range(20)
    ]
    torch.testing.assert_close(together, torch.cat(alone, dim=1), atol=1e-5, rtol=1e-4)


# -- behaviour ----------------------------------------------------------------------------------


def test_learns_a_real_table(data_dir):
    table = ft.Table.open(data_dir / "nb201.csv.gz", space=NB201)
    rows = np.random.default_rng(100).permutation(len(table.X))[:600]
    X, y = table.X[rows], table.query(table.X[rows], "cifar10_test_200ep")
    model = PINAT(NB201, members=1, epochs=15, min_steps=50, random_state=0).fit(X[:100], y[:100])
    assert kendall(y[100:], model.predict(X[100:])) > 0.65


@pytest.mark.parametrize("setting", ["hidden", "blocks", "heads", "set_heads", "inner", "head"])
def test_settings_are_checked(setting):
    X = NB201.sample(4, rng=0)
    with pytest.raises(SettingError, match=setting):
        PINAT(NB201, **{setting: 0}).fit(X, np.arange(4.0))
