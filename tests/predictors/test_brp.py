"""BRP-NAS, BONAS and the ranker: the relation of two, the global vertex, Bayesian regression."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

import foretell as ft
from foretell.graphs.tensors import batch
from foretell.metrics import kendall
from foretell.predictors.bonas import BONAS
from foretell.predictors.brp import BRP
from foretell.predictors.parts.bayes import posterior
from foretell.predictors.parts.global_net import BatchNorm, GlobalNet, with_global
from foretell.predictors.ranker import Comparator, Ranker
from foretell.spaces.base import Graphs

NB201 = ft.spaces.get("nb201")
FAST = {"hidden": 16, "members": 2, "epochs": 5, "min_steps": 40}


def examples(n=60):
    X = NB201.sample(n, rng=0)
    return X, (X == 3).sum(axis=1) + 0.1 * (X == 2).sum(axis=1)


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


# -- the relation of two ------------------------------------------------------------------------


def test_a_linear_pair_model_is_a_difference_of_scores():
    """Softmax of W [e_i; e_j] + b, averaged in log-odds over both orders, against s_i - s_j."""
    rng = np.random.default_rng(0)
    E, W, b = rng.normal(size=(6, 4)), rng.normal(size=(2, 8)), rng.normal(size=2)
    s = E @ (W[0, :4] - W[1, :4] - W[0, 4:] + W[1, 4:]) / 2
    for i, j in itertools.permutations(range(6), 2):
        odds = []
        for first, second in ((i, j), (j, i)):
            logits = W @ np.concatenate([E[first], E[second]]) + b
            odds.append(logits[0] - logits[1])
        assert (odds[0] - odds[1]) / 2 == pytest.approx(s[i] - s[j])


@pytest.mark.parametrize("make", [BRP, Ranker])
def test_relation_is_antisymmetric_and_sides_with_the_ranking(make):
    X, y = examples()
    model = make(NB201, random_state=0, **FAST).fit(X, y)
    A, B = NB201.sample(100, rng=1), NB201.sample(100, rng=2)
    wins = model.compare(A, B)
    np.testing.assert_allclose(wins + model.compare(B, A), 1.0, atol=1e-6)
    np.testing.assert_allclose(model.compare(A, A), 0.5, atol=1e-6)
    a, b = model.predict(A), model.predict(B)
    clear = np.abs(a - b) > 0.5
    assert clear.sum() > 20
    assert ((wins > 0.5) == (a > b))[clear].mean() > 0.95


def test_sorting_by_brp_scores_is_sorting_by_its_comparator():
    """One member: the comparator never goes in a circle, and orders as the predictions do."""
    X, y = examples()
    model = BRP(NB201, random_state=0, **{**FAST, "members": 1}).fit(X, y)
    T = np.unique(NB201.sample(40, rng=3), axis=0)
    n = len(T)
    left, right = np.repeat(np.arange(n), n), np.tile(np.arange(n), n)
    beats = (model.compare(T[left], T[right]) > 0.5 + 1e-9).reshape(n, n)
    assert kendall(beats.sum(axis=1), model.predict(T)) > 0.999


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


# -- the graph network --------------------------------------------------------------------------


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


# -- Bayesian linear regression -----------------------------------------------------------------


def test_posterior_against_the_dense_inverse():
    rng = np.random.default_rng(0)
    F, G = rng.normal(size=(30, 6)) * [1, 2, 3, 1, 1, 0] + 1, rng.normal(size=(9, 6))
    t = F @ rng.normal(size=6) + 0.3 * rng.normal(size=30) + 4
    found = posterior(F, t)
    std = F[:, :5].std(axis=0)
    Z, Y = ((rows[:, :5] - F[:, :5].mean(axis=0)) / std / np.sqrt(5) for rows in (F, G))
    covariance = np.linalg.inv(Z.T @ Z / found.noise + np.eye(5) / found.signal)
    mean = covariance @ Z.T @ (t - t.mean()) / found.noise
    np.testing.assert_allclose(found.mean(G), Y @ mean + t.mean(), rtol=1e-8)
    np.testing.assert_allclose(found.variance(G), ((Y @ covariance) * Y).sum(axis=1), rtol=1e-6)
    assert 0.04 < found.noise < 0.25  # 0.09 was drawn


def test_evidence_is_the_density_of_the_targets():
    """No other pair of variances near the chosen one explains the targets better."""
    rng = np.random.default_rng(1)
    F = rng.normal(size=(25, 3))
    t = F @ [1.0, -1.0, 0.5] + 0.5 * rng.normal(size=25)
    found = posterior(F, t)
    Z = (F - F.mean(axis=0)) / F.std(axis=0) / np.sqrt(3)

    def evidence(signal, noise):
        return multivariate_normal(np.zeros(25), signal * Z @ Z.T + noise * np.eye(25)).logpdf(
            t - t.mean()
        )

    best = evidence(found.signal, found.noise)
    for a, b in itertools.product([0.5, 1.0, 2.0], repeat=2):
        assert evidence(a * found.signal, b * found.noise) < best + 0.2


@pytest.mark.parametrize("wide", [5, 40])
def test_posterior_survives_few_rows_and_equal_targets(wide):
    rng = np.random.default_rng(0)
    for n in (1, 2, 3):
        F = rng.normal(size=(n, wide))
        for t in (np.zeros(n), np.arange(n) + 0.5):
            found = posterior(F, t)
            assert np.isfinite(found.mean(F)).all()
            assert np.isfinite(found.variance(F)).all()


def test_bonas_is_less_sure_of_what_it_has_not_seen():
    X, y = examples()
    model = BONAS(NB201, random_state=0, **FAST).fit(X, y)
    T = NB201.sample(50, rng=1)
    view = model._view(T)
    own = [
        one.variance(phi) + one.noise
        for one, phi in zip(model.posterior_, model._phi(model.net_, view), strict=True)
    ]
    far = model._variance(view)
    np.testing.assert_allclose(far, np.mean(own, axis=0))
    assert far.mean() > model._variance(model._view(X)).mean()
    std = model.predict(T, return_std=True)[1]
    model.posterior_ = [one._replace(signal=4 * one.signal) for one in model.posterior_]
    assert (model.predict(T, return_std=True)[1] >= std).all()


def test_regression_of_bonas_agrees_with_its_network():
    X, y = examples()
    model = BONAS(NB201, random_state=0, **FAST).fit(X, y)
    view = model._view(NB201.sample(200, rng=1))
    for m, phi in enumerate(model._phi(model.net_, view)):
        assert kendall(model._scores(view)[m], model.posterior_[m].mean(phi)) > 0.5


def test_settings_of_the_papers():
    brp, bonas, ranker = (make.paper(NB201) for make in (BRP, BONAS, Ranker))
    assert (brp.hidden, brp.layers, brp.loss, brp.head) == (600, 4, "soft", ())
    assert (bonas.hidden, bonas.loss, bonas.batch_size) == (64, "mse", 128)
    assert (ranker.hidden, ranker.lr, ranker.members) == (128, 2e-4, 1)


@pytest.mark.parametrize("make", [BRP, BONAS, Ranker])
def test_beats_the_size_of_the_network(make, data_dir):
    table = ft.Table.open(data_dir / "nb201.csv.gz", space=NB201)
    order = np.random.default_rng(100).permutation(len(table.X))
    T, X = table.X[order[:2000]], table.X[order[2000:2078]]
    truth, y = (table.query(rows, "cifar10_test_200ep") for rows in (T, X))
    model = make(NB201, members=2, random_state=0).fit(X, y)
    size = ft.predictors.get("n-params", space=NB201).fit(X, y)
    assert kendall(truth, model.predict(T)) > kendall(truth, size.predict(T)) + 0.1
