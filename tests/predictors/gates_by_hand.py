"""The equations of GATES and TA-GATES, vertex by vertex, and graphs to ask them of."""

from __future__ import annotations

import numpy as np
import torch

from foretell.graphs.tensors import batch
from foretell.predictors.gates import Gates, flow
from foretell.spaces.base import Graphs

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


def renamed(graphs, seed=2):
    """The same graphs with vertices in another order, and places without any."""
    n, v = graphs.ops.shape
    rng = np.random.default_rng(seed)
    order = np.stack([rng.permutation(v) for _ in range(n)])
    line = np.arange(n)[:, None]
    return Graphs(
        np.pad(graphs.ops[line, order], ((0, 0), (1, 2)), constant_values=-1),
        np.pad(
            graphs.adjacency[line[:, :, None], order[:, :, None], order[:, None, :]],
            ((0, 0), (1, 2), (1, 2)),
        ),
    )


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


def check_equations(net, readout):
    """The network against `by_hand`, vertex by vertex."""
    graphs = random_graphs(12, 6, words=5)
    scores = net(seen(graphs, 5, readout)).detach().numpy()
    expected = [
        [by_hand(net, m, graphs.ops[i], graphs.adjacency[i], readout) for i in range(12)]
        for m in range(2)
    ]
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    assert scores.std(axis=1).min() > 1e-3


def check_names(net):
    """A network of six words gives renamed and padded graphs the same scores."""
    graphs = random_graphs(20, 7, words=6)
    pair = graphs, renamed(graphs)
    before, after = (net(seen(g, 6)).detach().numpy() for g in pair)
    np.testing.assert_allclose(before, after, atol=1e-5)
    assert before.std(axis=1).min() > 1e-3
