"""NAR-Former: its code, tokens and blocks against other derivations; orders; a real table."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

import foretell as ft
from foretell.errors import SettingError
from foretell.graphs.order import canonical
from foretell.graphs.tensors import batch
from foretell.metrics import kendall
from foretell.predictors.nar_former import Block, NARFormer, Network, code, random_places
from foretell.spaces.base import Graphs

NB201 = ft.spaces.get("nb201")
FAST = {"hidden": 8, "inner": 8, "head": (8,), "members": 2, "epochs": 5, "min_steps": 20}


def network(words=7, places=8, features=0, **changes):
    settings = {
        "hidden": 8,
        "blocks": 2,
        "heads": 2,
        "inner": 8,
        "head": (),
        "dropout": 0.0,
        "generator": torch.Generator().manual_seed(0),
    }
    return Network(2, words, places, features, **{**settings, **changes})


def view(graphs, words=7):
    return batch(graphs, np.zeros((len(graphs.ops), 0), dtype=np.float32), words)


# -- oracles ------------------------------------------------------------------------------------


def test_code_is_that_of_the_paper():
    # frequencies of the paper, exact: 2^31 - 1 = 31 * 69273666 + 1, so they are 1 + k / 31 plus an
    # even number of half turns
    frequencies = [1 + k * 69273666 + k / 31 for k in range(32)]
    assert frequencies[31] == 2**31
    for x, row in ((3, 3), (17, 17), (-1, -1), (100_000, -6)):
        turns = np.array([(x * (1 + k * 69273666) % 2 + x * k / 31) for k in range(32)])
        expected = np.concatenate([np.sin(np.pi * turns), np.cos(np.pi * turns)])
        np.testing.assert_allclose(code(9)[row], expected, atol=1e-5)


@pytest.mark.parametrize("count", [5, 56, 57, 130])
def test_different_numbers_have_different_codes(count):
    codes = torch.cat([code(count)[:count], code(count)[[-6, -1]]]).double()
    apart = torch.cdist(codes, codes) + 10.0 * torch.eye(count + 2)
    assert apart.min() > 0.5


def test_tokens_of_a_graph_by_hand():
    ops = np.array([[0, 4, 5, 1]])
    adjacency = np.zeros((1, 4, 4), dtype=bool)
    adjacency[0, [0, 0, 1, 1, 2], [1, 2, 2, 3, 3]] = True
    net = network(hidden=None, heads=6)
    tokens, there = net._tokens(view(Graphs(ops, adjacency)), None)
    e = code(9)
    sources = [e[-1], e[0], e[0] + e[1], e[1] + e[2]]
    for i in range(4):
        torch.testing.assert_close(
            tokens[1, 0, 2 + i], torch.cat([e[ops[0, i]], e[i], sources[i]]), atol=1e-5, rtol=0
        )
    torch.testing.assert_close(tokens[1, 0, 1], torch.cat([e[-6]] * 3))
    depth = torch.relu(e[4] @ net.depth.weight[1] + net.depth.bias[1, 0])
    torch.testing.assert_close(tokens[1, 0, 0], depth)
    assert there.tolist() == [[True] * 6]


def test_block_equals_that_of_torch():
    draw = torch.Generator().manual_seed(0)
    ours = Block(2, 12, 3, 20, 0.0, draw)
    for weights in ours.parameters():
        weights.data = torch.randn(weights.shape, generator=draw) / 3.0
    H, there = torch.randn(2, 4, 6, 12, generator=draw), torch.rand(4, 6, generator=draw) < 0.7
    there[:, 0] = True
    inside, wide, narrow = ours.attention, *ours.residual.feed_forward.maps
    for m in range(2):
        torchs = nn.TransformerEncoderLayer(12, 3, 20, 0.0, batch_first=True, norm_first=True)
        pairs = [
            (torchs.norm1, ours.norm),
            (torchs.norm2, ours.residual.norm),
        ]
        for theirs, norm in pairs:
            theirs.weight.data, theirs.bias.data = norm.scale[m, 0, 0], norm.shift[m, 0, 0]
        maps = [(torchs.linear1, wide), (torchs.linear2, narrow)]
        maps.append((torchs.self_attn.out_proj, inside.join))
        for theirs, linear in maps:
            theirs.weight.data, theirs.bias.data = linear.weight[m].T, linear.bias[m, 0]
        both = [inside.query, inside.key_value]
        torchs.self_attn.in_proj_weight.data = torch.cat([one.weight[m].T for one in both])
        torchs.self_attn.in_proj_bias.data = torch.cat([one.bias[m, 0] for one in both])
        expected = torchs(H[m], src_key_padding_mask=~there)
        torch.testing.assert_close(ours(H, there, None)[m], expected, atol=1e-5, rtol=1e-4)


def test_learnt_queries_sum_tokens_up():
    draw = torch.Generator().manual_seed(0)
    ours = Block(1, 6, 1, 5, 0.0, draw, queries=2)
    H, there = torch.randn(1, 1, 4, 6, generator=draw), torch.tensor([[True, True, True, False]])
    key, value = ours.attention.key_value(ours.norm(H)).chunk(2, dim=-1)
    weights = (ours.queries[0, 0] @ key[0, 0, :3].T / 6**0.5).softmax(-1)
    out = ours.attention.join((weights @ value[0, 0, :3])[None, None])
    expected = out + ours.residual.feed_forward(ours.residual.norm(out))
    torch.testing.assert_close(ours(H, there, None), expected)


def test_random_places_are_the_topological_orders():
    # input -> a -> b -> output and input -> c -> output; a vertex that is not there
    adjacency = torch.zeros(1, 6, 6, dtype=torch.bool)
    edges = [(0, 1), (1, 3), (3, 4), (0, 2), (2, 4)]
    for i, j in edges:
        adjacency[0, i, j] = True
    drawn = random_places(adjacency.expand(400, 6, 6), torch.Generator().manual_seed(0))
    orders = {
        (*p, 5) for p in itertools.permutations(range(5)) if all(p[i] < p[j] for i, j in edges)
    }
    assert len(orders) == 3
    assert {tuple(row) for row in drawn.tolist()} == orders


# -- invariance ---------------------------------------------------------------------------------


def test_predictions_do_not_change_when_vertices_are_renumbered():
    space = ft.spaces.get("nb101")
    X = space.sample(30, rng=0)
    graphs = space.graphs(X)

    class Renumbered(type(space)):
        def graphs(self, X):
            order = np.argsort(np.random.default_rng(1).random(graphs.ops.shape), axis=1)
            line = np.arange(len(order))[:, None]
            return Graphs(
                graphs.ops[line, order],
                graphs.adjacency[line[:, :, None], order[:, :, None], order[:, None, :]],
            )

    model = NARFormer(space, **FAST, random_state=0).fit(X, X.sum(axis=1))
    before = model.predict(X)
    model.space = Renumbered()
    np.testing.assert_allclose(model.predict(X), before, rtol=1e-5)
    assert before.std() > 0.1


def test_scores_do_not_depend_on_the_other_graphs():
    graphs, net = canonical(NB201.graphs(NB201.sample(20, rng=1))), network()
    alone = [net(view(Graphs(*(g[i : i + 1] for g in graphs)))) for i in range(20)]
    torch.testing.assert_close(net(view(graphs)), torch.cat(alone, 1), atol=1e-5, rtol=1e-4)


def test_loss_of_two_orders_and_of_differences_by_hand():
    seen, goal = view(canonical(NB201.graphs(NB201.sample(9, rng=2)))), torch.linspace(-1, 1, 9)
    model = NARFormer(NB201, loss="mse", consistency=0.5, difference=0.1)
    net, draw = network(), torch.Generator().manual_seed(3)
    total = model._loss(net, seen, goal, draw)
    draw = torch.Generator().manual_seed(3)
    places = random_places(seen.adjacency, draw)
    pair = torch.randperm(9, generator=draw)
    assert (places != torch.arange(places.shape[1])).any()
    expected = 0.0
    with torch.no_grad():
        scores = net(seen), net(seen, None, places)
    for s, again in zip(*scores, strict=True):
        expected += float(((s - goal) ** 2).mean() + ((again - goal) ** 2).mean())
        expected += 0.5 * float(((s - again) ** 2).mean())
        apart = [abs(float(s[i] - s[j] - goal[i] + goal[j])) for i, j in enumerate(pair)]
        expected += 0.1 * sum(apart) / 9
    left_out = torch.stack([goal, goal.where(torch.arange(9) != 4, torch.nan)])
    for weight in (0.0, 0.1):
        model.difference = weight
        part = model._loss(net, seen, left_out, torch.Generator().manual_seed(3))
        grads = torch.autograd.grad(part, net.head.parameters())
        assert all(grad.isfinite().all() for grad in grads)
    assert float(total.detach()) == pytest.approx(expected, rel=1e-5)


# -- behaviour ----------------------------------------------------------------------------------


def test_learns_a_real_table(data_dir):
    table = ft.Table.open(data_dir / "nb201.csv.gz", space=NB201)
    rows = np.random.default_rng(100).permutation(len(table.X))[:600]
    X, y = table.X[rows], table.query(table.X[rows], "cifar10_test_200ep")
    model = NARFormer(NB201, members=1, epochs=15, min_steps=50, random_state=0)
    assert kendall(y[100:], model.fit(X[:100], y[:100]).predict(X[100:])) > 0.6


@pytest.mark.parametrize(
    ("setting", "value"),
    [("hidden", 0), ("hidden", 9), ("blocks", 0), ("consistency", -1.0), ("difference", -1.0)],
)
def test_settings_are_checked(setting, value):
    X = NB201.sample(4, rng=0)
    with pytest.raises(SettingError, match=setting):
        NARFormer(NB201, **{setting: value}).fit(X, np.arange(4.0))
