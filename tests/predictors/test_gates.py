"""GATES and TA-GATES: the equations vertex by vertex, relabelling, what the layers see."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import foretell as ft
from foretell.errors import SettingError
from foretell.graphs.tensors import batch
from foretell.metrics import kendall
from foretell.predictors.gates import GATES, Gates, flow
from foretell.predictors.ta_gates import TAGATES, TrainedGates
from foretell.spaces.base import Graphs

NB201 = ft.spaces.get("nb201")
SIZES = {"embed": 4, "hidden": 6, "layers": 2, "head": (16,), "dropout": 0.0}


def random_graphs(n, v, words, seed=0):
    rng = np.random.default_rng(seed)
    ops = rng.integers(-1, words, size=(n, v)).astype(np.int8)
    ops[:, 1:-1][ops[:, 1:-1] == 0] = 2
    ops[:, 1:-1][ops[:, 1:-1] == 1] = 3
    ops[:, 0], ops[:, -1] = 0, 1
    there = ops >= 0
    adjacency = np.triu(rng.random((n, v, v)) < 0.5, 1) & there[:, :, None] & there[:, None, :]
    return Graphs(ops, adjacency)


def seen(graphs, words, readout="mean", features=None):
    none = np.zeros((len(graphs.ops), 0), dtype=np.float32) if features is None else features
    return flow(batch(graphs, none, words), words, readout)


def network(kind=Gates, words=5, features=0, **changes):
    generator = torch.Generator().manual_seed(0)
    net = kind(2, words, features, generator=generator, **{**SIZES, **changes})
    with torch.no_grad():  # biases start at 0: an equation without them would pass
        for weight in net.parameters():
            weight += 0.1 * torch.randn(weight.shape, generator=generator)
    return net


def numbers(weight, m):
    return weight[m].detach().double().numpy()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def perceptron(mlp, m, x):
    for place, one in enumerate(mlp.maps):
        x = x @ numbers(one.weight, m) + numbers(one.bias, m)[0]
        x = np.maximum(x, 0) if place + 1 < len(mlp.maps) else x
    return x


def pass_forward(net, m, ops, adjacency, E):
    """H_{l+1} = sigma(E W_o + c) * (A^T H_l W_f) + H_l W_f + b, vertex by vertex."""
    first, other = numbers(net.begin, m)
    H = [first if op == 0 else other for op in ops]
    layers = len(net.values)
    wide = net.gates.weight.shape[-1] // layers
    for depth, value in enumerate(net.values):
        of = slice(depth * wide, (depth + 1) * wide)
        W_o, c = numbers(net.gates.weight, m)[:, of], numbers(net.gates.bias, m)[0, of]
        W_f, b = numbers(value.weight, m), net.biases[depth, m, 0, 0].detach().double().numpy()
        new = []
        for i in range(len(ops)):
            heard = sum((H[j] @ W_f for j in range(len(ops)) if adjacency[j, i]), np.zeros(wide))
            out = sigmoid(E[i] @ W_o + c) * heard + H[i] @ W_f + b
            new.append(np.maximum(out, 0) if depth + 1 < layers else out)
        H = new
    return H


def by_hand(net, m, ops, adjacency, readout):
    there = [i for i, op in enumerate(ops) if op >= 0]
    ops, adjacency = ops[there], adjacency[np.ix_(there, there)]
    E = [numbers(net.embedding, m)[op] for op in ops]
    for _ in range(getattr(net, "steps", 1) - 1):
        H = pass_forward(net, m, ops, adjacency, E)
        b = [perceptron(net.turn, m, h) if op == 1 else 0 * h for h, op in zip(H, ops, strict=True)]
        for one in net.backs:
            W, c = numbers(one.weight, m), numbers(one.bias, m)[0]
            b = [
                np.maximum((b[i] + sum(b[j] for j in np.flatnonzero(adjacency[i]))) @ W + c, 0)
                for i in range(len(ops))
            ]
        E = [
            e + 0.1 * perceptron(net.update, m, np.concatenate([e, h, back]))
            for e, h, back in zip(E, H, b, strict=True)
        ]
    H = pass_forward(net, m, ops, adjacency, E)
    read = [h for h, op in zip(H, ops, strict=True) if (op == 1 if readout == "output" else op)]
    return float(perceptron(net.head, m, np.mean(read, axis=0))[0])


@pytest.mark.parametrize("readout", ["mean", "output"])
@pytest.mark.parametrize(
    ("kind", "more"), [(Gates, {}), (TrainedGates, {"steps": 3, "update": 7})], ids=["gates", "ta"]
)
def test_network_equals_the_equations_vertex_by_vertex(kind, more, readout):
    graphs, net = random_graphs(12, 6, words=5), network(kind, **more)
    scores = net(seen(graphs, 5, readout)).detach().numpy()
    expected = [
        [by_hand(net, m, graphs.ops[i], graphs.adjacency[i], readout) for i in range(12)]
        for m in range(2)
    ]
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    assert scores.std(axis=1).min() > 1e-3


@pytest.mark.parametrize(
    ("kind", "more"), [(Gates, {}), (TrainedGates, {"steps": 3, "update": 7})], ids=["gates", "ta"]
)
def test_scores_do_not_change_when_vertices_are_renamed_or_padded(kind, more):
    graphs, net = random_graphs(20, 7, words=6), network(kind, words=6, **more)
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
    before, after = (net(seen(g, 6)).detach().numpy() for g in (graphs, renamed))
    np.testing.assert_allclose(before, after, atol=1e-5)
    assert before.std(axis=1).min() > 1e-3


def test_one_step_of_ta_gates_is_gates():
    graphs = random_graphs(10, 6, words=5)
    plain, trained = network(), network(TrainedGates, steps=1, update=7)
    shared = {k: v for k, v in trained.state_dict().items() if k in plain.state_dict()}
    plain.load_state_dict(shared)
    view = seen(graphs, 5)
    torch.testing.assert_close(trained(view), plain(view))
    trained.steps = 2
    assert (trained(view) - plain(view)).abs().max() > 1e-4


def test_a_gate_needs_what_flows_in():
    """Without edges into a vertex its operation cannot matter; with one it does."""
    net, view = network(), {}
    for op in (2, 3):
        for edge in (False, True):
            adjacency = np.zeros((1, 3, 3), dtype=bool)
            adjacency[0, 0, 1] = edge
            view[op, edge] = net(seen(Graphs(np.array([[0, op, 1]]), adjacency), 5))
    assert torch.equal(view[2, False], view[3, False])
    assert (view[2, True] - view[3, True]).abs().min() > 1e-4


def test_settings_of_the_papers():
    gates, trained = GATES.paper(NB201, members=2), TAGATES.paper(NB201)
    assert (gates.loss, gates.hidden, gates.layers, gates.head) == ("hinge", 128, 4, (200,))
    assert (gates.members, gates.encoding) == (2, None)
    assert (trained.steps, trained.layers, trained.loss) == (3, 5, "hinge")


@pytest.mark.parametrize("make", [GATES, TAGATES])
def test_beats_the_size_of_the_network(make, data_dir):
    table = ft.Table.open(data_dir / "nb201.csv.gz", space=NB201)
    order = np.random.default_rng(100).permutation(len(table.X))
    T, X = table.X[order[:2000]], table.X[order[2000:2078]]
    truth, y = (table.query(rows, "cifar10_test_200ep") for rows in (T, X))
    model = make(NB201, members=2, random_state=0).fit(X, y)
    size = ft.predictors.get("n-params", space=NB201).fit(X, y)
    assert kendall(truth, model.predict(T)) > kendall(truth, size.predict(T)) + 0.1


@pytest.mark.parametrize("name", ["gates", "ta-gates"])
def test_an_unknown_readout_is_refused(name):
    space = ft.spaces.get("nb201")
    model = ft.predictors.get(name, space=space, readout="last")
    with pytest.raises(SettingError, match=r"readout.*'mean' or 'output'"):
        model.fit(space.sample(10, rng=0), range(10))
