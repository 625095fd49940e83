"""NAO: the decoder's book-keeping, invariance; a real table."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import foretell as ft
from foretell.encodings.sequence import PAD
from foretell.errors import SettingError
from foretell.metrics import kendall
from foretell.predictors.nao import NAO, Network
from foretell.spaces.base import Graphs

NB201 = ft.spaces.get("nb201")
NB101 = ft.spaces.get("nb101")
FAST = {"hidden": 16, "members": 2, "epochs": 5, "min_steps": 20}


def fitted(model, n=60):
    X = model.space.sample(n, rng=0)
    return model.fit(X, (X == 1).sum(axis=1) + np.linspace(0.0, 0.1, n)), X


def seen(model, X):
    return model._inputs(model._view(X))


@pytest.mark.parametrize("step", ["vertex", "token"])
def test_each_step_is_drawn_from_the_steps_before_it(step):
    """Tokens from step t on do not change what the decoder reads before step t."""
    model, X = fitted(NAO(NB201, step=step, random_state=0, **FAST))
    net = model.net_.networks[0]
    inputs = seen(model, X[:8])
    read, states, latent = net._encode(inputs)
    logits = net._decode(read, states, latent)
    t = read.shape[1] // 2
    changed = read.clone()
    changed[:, t:] += 1.0
    other = net._decode(changed, states, latent)
    assert torch.allclose(logits[:, : t + 1], other[:, : t + 1])
    assert not torch.allclose(logits[:, t + 1 :], other[:, t + 1 :])


def test_decoder_loss_is_the_mean_over_tokens_that_are_there():
    model, X = fitted(NAO(NB101, random_state=0, **FAST))
    net: Network = model.net_.networks[0]
    inputs = seen(model, X[:10])
    log_p = net._decode(*net._encode(inputs)).log_softmax(-1).numpy()
    tokens = inputs.tokens.numpy()
    told = [
        -log_p[a, t, k, tokens[a, t, k]]
        for a, t, k in np.ndindex(tokens.shape)
        if tokens[a, t, k] != PAD
    ]
    assert float(net.both(inputs)[1]) == pytest.approx(np.mean(told), rel=1e-5)


def test_the_decoder_learns_the_architecture():
    """Tokens of unseen cells are told much better than by the commonest token of each place."""
    settings = {"hidden": 24, "members": 1, "epochs": 1, "min_steps": 500, "dropout": 0.0}
    model, _ = fitted(NAO(NB201, random_state=0, weight=0.9, **settings), n=300)
    unseen = seen(model, NB201.sample(400, rng=9))
    tokens, there = unseen.tokens, unseen.tokens != PAD
    counts = torch.nn.functional.one_hot(tokens)[..., 1:].sum(0)  # by place
    commonest = counts.max(-1).values.sum() / there.sum()
    assert model.net_.networks[0].fidelity(unseen) > float(commonest) + 0.05


def test_unchanged_when_vertices_are_renamed():
    """A space that numbers its vertices otherwise gives the same predictions."""

    class Renamed(type(NB201)):
        def graphs(self, X):
            ops, adjacency = super().graphs(X)
            order = [0, 2, 1, 4, 3, 6, 5, 7]  # not always topological
            return Graphs(ops[:, order], adjacency[:, order][:, :, order])

    settings = {"random_state": 0, "encoding": None, **FAST}
    X = NB201.sample(30, rng=0)
    one, other = (fitted(NAO(space, **settings))[0].predict(X) for space in (NB201, Renamed()))
    assert np.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"step": "word"}, "step"),
        ({"weight": 1.0}, "weight"),
        ({"hidden": 0}, "hidden"),
    ],
)
def test_settings_are_checked(settings, word):
    with pytest.raises(SettingError, match=word):
        fitted(NAO(NB201, **settings))


def test_ranks_a_real_table(data_dir):
    """60 cells of NAS-Bench-201 rank 500 others; published at 78 is .47."""
    table = ft.Table.open(data_dir / "nb201.csv.gz", space=NB201)
    rows = np.random.default_rng(123).permutation(len(table.X))[:560]
    X, y = table.X[rows], table.query(table.X[rows], "cifar10_test_200ep")
    model = NAO(NB201, random_state=0, members=1, min_steps=80, epochs=1)
    assert kendall(y[60:], model.fit(X[:60], y[:60]).predict(X[60:])) > 0.6
