"""The ranker: the tournament and the comparator against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import foretell as ft
from foretell.predictors.parts.global_net import BatchNorm, GlobalNet
from foretell.predictors.ranker import Comparator, Ranker

NB201 = ft.spaces.get("nb201")
FAST = {"hidden": 16, "members": 2, "epochs": 5, "min_steps": 40}


def examples(n=60):
    X = NB201.sample(n, rng=0)
    return X, (X == 3).sum(axis=1) + 0.1 * (X == 2).sum(axis=1)


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


def test_relation_is_antisymmetric_and_sides_with_the_ranking(compares_as_it_ranks):
    compares_as_it_ranks(Ranker(NB201, random_state=0, **FAST).fit(*examples()))


def test_scores_of_the_ranker_are_a_tournament_with_the_training_rows():
    X, y = examples(30)
    model = Ranker(NB201, random_state=0, **{**FAST, "members": 1}).fit(X, y)
    T = NB201.sample(7, rng=1)
    scores = model._scores(model._view(T))[0]
    for i in range(7):
        assert scores[i] == pytest.approx(model.compare(T[[i] * 30], X).mean(), abs=1e-6)


def test_comparator_against_its_definition():
    generator = torch.Generator().manual_seed(0)
    net = Comparator(network(), 4, 5, 0.0, generator)
    with torch.no_grad():
        net.first.bias += torch.randn(net.first.bias.shape, generator=generator)
    E = torch.randn(2, 6, 4, generator=generator)
    lead = net.compare(E.unsqueeze(2), E.unsqueeze(1)).detach().numpy()
    for m in range(2):
        U, V = net.first.weight[m].detach().numpy(), net.second.weight[m].detach().numpy()
        c, w = net.first.bias[m, 0].detach().numpy(), net.last.weight[m, :, 0].detach().numpy()
        e = E[m].numpy()

        def f(a, b, U=U, V=V, c=c, w=w):
            return np.maximum(a @ U + b @ V + c, 0) @ w

        expected = [[f(a, b) - f(b, a) for b in e] for a in e]
        np.testing.assert_allclose(lead[m], expected, atol=1e-5)
    np.testing.assert_array_equal(lead, -lead.transpose(0, 2, 1))


def test_the_comparator_is_more_than_a_difference_of_scores():
    """d(i, j) + d(j, k) is not d(i, k)."""
    net = Comparator(network(), 4, 5, 0.0, torch.Generator().manual_seed(0))
    E = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(1))
    d = net.compare(E.unsqueeze(2), E.unsqueeze(1))
    assert (d[:, 0, 1] + d[:, 1, 2] - d[:, 0, 2]).abs().min() > 1e-3


def test_ranker_compares_with_no_more_rows_than_asked():
    X, y = examples()
    model = Ranker(NB201, max_rows=10, random_state=0, **FAST).fit(X, y)
    assert model.net_.anchors.shape == (2, 10, 48)


def test_beats_the_size_of_the_network(beats_size):
    beats_size(Ranker(NB201, members=2, random_state=0), 0.1)
