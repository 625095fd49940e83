from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import (
    RBF,
    ConstantKernel,
    DotProduct,
    Matern,
    WhiteKernel,
)

import foretell as ft
from foretell.encodings import Encoding
from foretell.encodings.numbers import Numbers
from foretell.errors import SettingError
from foretell.predictors.gp import GP
from foretell.predictors.gp_wl import WeisfeilerLehman
from foretell.predictors.parts.calibration import widening
from foretell.predictors.parts.distances import SPREAD, START, Amounts
from foretell.predictors.parts.exact import JITTER, minus_log_posterior
from foretell.predictors.parts.features import FEATURES
from foretell.predictors.parts.kernels import KERNELS
from foretell.predictors.parts.targets import Scale

NB201 = ft.spaces.get("nb201")
OWN = ft.Space.from_choices(
    {
        "depth": [1, 2, 3],
        "width": ft.choice(["16ch", "32ch", "64ch"], repeat="depth"),
        "rate": [0.0, 0.1, 0.3],
        "op": ["conv", "pool"],
    },
    build=print,
)


def sizes(n=40):
    X = OWN.sample(n, rng=0)
    noise = np.random.default_rng(0).normal(size=n)
    return X, np.log(4 ** X[:, 1] + (X[:, 0] > 0) * 4 ** X[:, 2]) - X[:, 4] + 0.1 * noise


def data(n=30):
    X = NB201.sample(n, rng=0)
    return X, np.log1p(NB201.costs(X).params) + 0.1 * np.random.default_rng(0).normal(size=n)


def features(model, X):
    """All features of a process with a single kernel, over their lengths."""
    return parts_of(model.learnt_[0], X)


def parts_of(learnt, X):
    """All features of a kernel over their lengths."""
    count = len(learnt.metrics)
    parts = [g(X) / np.exp(t) for g, t in zip(learnt.metrics, learnt.theta, strict=False)]
    own = learnt.amounts(X) / learnt.amounts.lengths(learnt.theta[count:-2])
    return np.concatenate([own, *parts], axis=1)


def oracle(model, X, y):
    """A process of scikit-learn on these features: a kernel of all, and a linear one of the own."""
    kernel = kernel_of(model.learnt_[0]) + WhiteKernel(model.noise_ + JITTER, "fixed")
    other = GaussianProcessRegressor(kernel, alpha=0.0, optimizer=None)
    return other.fit(features(model, X), (y - y.mean()) / y.std())


def kernel_of(learnt):
    """The kernel of scikit-learn on `parts_of`."""
    own = len(learnt.amounts.of)

    class Linear(DotProduct):
        def __call__(self, A, B=None, eval_gradient=False):
            B = None if B is None else B[:, :own] * learnt.amounts.sloping
            return super().__call__(A[:, :own] * learnt.amounts.sloping, B, eval_gradient)

        def diag(self, A):
            return super().diag(A[:, :own] * learnt.amounts.sloping)

    smooth = ConstantKernel(np.exp(learnt.theta[-2]), "fixed") * Matern(1.0, "fixed", nu=1.5)
    linear = ConstantKernel(np.exp(learnt.theta[-3]), "fixed") * Linear(0.0, "fixed")
    return smooth + linear


def chosen_of(one):
    """Lengths of distances and of groups, weight of the linear part, signal and noise."""
    groups = 0 if one.amounts is None else len(set(one.amounts.of.tolist())) + 1
    return len(one.metrics) + groups + 2


@pytest.mark.parametrize("own", [False, True])
def test_posterior_against_scikit_learn(own):
    """With the length scales divided out, scikit-learn's process with the same kernel agrees."""
    space = OWN if own else NB201
    X, y = sizes() if own else data()
    new = space.sample(50, rng=1)
    model = GP(space, FEATURES, target="value", random_state=0).fit(X, y)
    mean, std = oracle(model, X, y).predict(features(model, new), return_std=True)
    ours, ours_std = model.predict(new, return_std=True)
    assert np.allclose(ours, mean * y.std() + y.mean(), rtol=1e-5)
    calibrated = np.sqrt(model.shrink_ * std**2 + model.widen_) * y.std()
    assert np.allclose(ours_std, calibrated, rtol=1e-4)


def test_a_mean_of_two_kernels_by_hand():
    """Mean and deviation from the dense inverse of kernels of scikit-learn's."""
    X, y = data()
    new = NB201.sample(50, rng=1)
    model = GP(NB201, target="value", random_state=0).fit(X, y)
    assert [len(one.metrics) for one in model.learnt_] == [3, 1]  # graph-stats, flow have groups

    def kernel(A, B):
        both = [kernel_of(one)(parts_of(one, A), parts_of(one, B)) for one in model.learnt_]
        return (both[0] + both[1]) / 2

    scores = (y - y.mean()) / y.std()
    K = kernel(X, X) + (model.noise_ + JITTER) * np.eye(len(X))
    cross, inverse = kernel(new, X), np.linalg.inv(K)
    mean, std = model.predict(new, return_std=True)
    assert np.allclose(mean, cross @ inverse @ scores * y.std() + y.mean(), rtol=1e-5)
    variance = np.diag(kernel(new, new)) - np.einsum("ij,jk,ik->i", cross, inverse, cross)
    calibrated = model.shrink_ * (variance + model.noise_) + model.widen_
    assert np.allclose(std, np.sqrt(calibrated) * y.std(), rtol=1e-4)
    noises = [np.exp(one.theta[-1]) for one in model.learnt_]
    assert model.noise_ == pytest.approx(np.sqrt(np.prod(noises)))
    alone = np.zeros(len(X))
    for i in range(len(X)):
        rest = np.arange(len(X)) != i
        alone[i] = K[i, rest] @ np.linalg.solve(K[np.ix_(rest, rest)], scores[rest])
    # calibrated by the errors of rows left out, as if the kernels had not seen them
    chosen = np.mean([chosen_of(one) for one in model.learnt_]) * len(X) / (len(X) + 40)
    shrink, widen = widening(y, alone, 1.0 / np.diag(inverse), model.scale_, chosen)
    assert model.shrink_ == pytest.approx(shrink, rel=1e-3)
    assert model.widen_ == pytest.approx(widen, rel=1e-3, abs=1e-9)


def test_equal_sets_of_encodings_are_one_kernel():
    """Where amounts stand for all of them; and where a space says nothing of its signals."""
    X, y = sizes()
    assert len(GP(OWN, random_state=0).fit(X, y).learnt_) == 1
    graph = ft.spaces.get("nb-graph")
    X = graph.sample(20, rng=0)
    assert len(GP(graph, random_state=0).fit(X, np.arange(20)).learnt_) == 1


def test_left_out_rows_against_leaving_them_out():
    """What the others say of each row, in closed form, gives the widening of the deviations."""
    X, y = data(25)
    model = GP(NB201, FEATURES, target="value", random_state=0).fit(X, y)
    scores = (y - y.mean()) / y.std()
    means, variances = np.zeros(25), np.zeros(25)
    for i in range(25):
        rest = np.arange(25) != i
        found = oracle(model, X, y)
        K = found.kernel_(features(model, X))
        solved = np.linalg.solve(K[np.ix_(rest, rest)], K[rest, i])
        means[i], variances[i] = solved @ scores[rest], K[i, i] - solved @ K[rest, i]
    chosen = chosen_of(model.learnt_[0]) * 25 / (25 + 40)
    shrink, widen = widening(y, means, variances, model.scale_, chosen)
    assert model.shrink_ == pytest.approx(shrink, rel=1e-4)
    assert model.widen_ == pytest.approx(widen, rel=1e-4, abs=1e-9)


def test_loss_against_scikit_learn_and_its_gradient():
    X, y = data()
    model = GP(NB201, ("edges", "one-hot"), target="value", random_state=0).fit(X, y)
    scores = (y - y.mean()) / y.std()
    blocks = [metric.features for metric in model.learnt_[0].metrics]
    squares = [((F[:, None] - F[None]) ** 2).sum(axis=2) for F in blocks]
    for theta in (np.array([0.5, 1.5, 0.2, -1.0]), model.learnt_[0].theta):
        signal, noise = np.exp(theta[-2:])
        kernel = ConstantKernel(signal, "fixed") * Matern(1.0, "fixed", nu=1.5) + WhiteKernel(
            noise + JITTER, "fixed"
        )
        scaled = [F / np.exp(t) for F, t in zip(blocks, theta, strict=False)]
        other = GaussianProcessRegressor(kernel, alpha=0.0, optimizer=None)
        other.fit(np.concatenate(scaled, axis=1), scores)
        prior = 0.5 * (((theta - [START[0], *START]) / SPREAD) ** 2).sum()
        loss, gradient = minus_log_posterior(theta, "matern", squares, scores)
        constant = 0.5 * len(y) * np.log(2 * np.pi)
        assert loss + constant == pytest.approx(prior - other.log_marginal_likelihood(), rel=1e-6)
        numeric = approx_fprime(
            theta, lambda t: minus_log_posterior(t, "matern", squares, scores)[0], 1e-6
        )
        assert np.allclose(gradient, numeric, atol=1e-3)
    assert (
        np.abs(minus_log_posterior(model.learnt_[0].theta, "matern", squares, scores)[1]).max()
        < 0.05
    )  # a minimum


class Noise(Encoding):
    """Says nothing."""

    def __init__(self, space):
        self.space = space

    def encode(self, X):
        keys = self.space.row_key(X)
        return np.sin(keys[:, None] * np.arange(1.0, 9.0) * 1e3).astype(np.float32)


def test_an_encoding_that_says_nothing_is_switched_off():
    X, y = data(80)
    model = GP(NB201, encoding=("edges", Noise(NB201)), random_state=0).fit(X, y)
    assert model.learnt_[0].theta[1] > model.learnt_[0].theta[0] + 1  # log length scales


def test_more_rows_than_it_takes():
    X, y = data(60)
    model = GP(NB201, max_rows=25, random_state=0).fit(X, y)
    assert len(model.weights_) == 25
    assert ft.metrics.kendall(y, model.predict(X)) > 0.4


@pytest.mark.parametrize("kernel", sorted(KERNELS))
def test_gradient_of_each_kernel(kernel):
    X, y = data(25)
    bits = WeisfeilerLehman(NB201, X, 1, cumulative=True).squares()[1:]
    scores = (y - y.mean()) / y.std()
    for theta in (np.array([0.5, 0.3, -0.5]), np.array([1.5, 0.0, -2.0])):
        gradient = minus_log_posterior(theta, kernel, bits, scores)[1]
        numeric = approx_fprime(
            theta, lambda t: minus_log_posterior(t, kernel, bits, scores)[0], 1e-6
        )
        assert np.allclose(gradient, numeric, atol=1e-3)


def test_settings_of_the_study_against_scikit_learn():
    X, y = data()
    model = GP.paper(NB201, random_state=0).fit(X, y)
    length, signal, noise = np.exp(model.learnt_[0].theta)
    kernel = ConstantKernel(signal) * RBF(length) + WhiteKernel(noise + JITTER)
    other = GaussianProcessRegressor(kernel, alpha=0.0, optimizer=None)
    other.fit(model.learnt_[0].metrics[0].features, (y - y.mean()) / y.std())
    new = NB201.sample(50, rng=1)
    expected = other.predict(model.learnt_[0].metrics[0](new)) * y.std() + y.mean()
    assert np.allclose(model.predict(new), expected, rtol=1e-6)


def test_a_wider_prior_lets_few_rows_say_more():
    """Of 40 rows of a steep function, hyperparameters go further from the mean of the prior."""
    X = NB201.sample(40, rng=0)
    y = np.sin(4.0 * X[:, 0] + X[:, 3])
    narrow, wide = (
        GP(NB201, encoding="one-hot", target="value", spread=s).fit(X, y) for s in (0.2, 3.0)
    )
    away = [
        np.abs(model.learnt_[0].theta - [START[0], START[1], START[2]]).max()
        for model in (narrow, wide)
    ]
    assert away[1] > 2 * away[0]
    with pytest.raises(SettingError, match="spread"):
        GP(NB201, spread=0.0).fit(X, y)


def test_loss_of_amounts_by_hand():
    X, y = sizes()
    model = GP(OWN, target="value", random_state=0).fit(X, y)
    amounts, theta = model.learnt_[0].amounts, model.learnt_[0].theta
    scores = (y - y.mean()) / y.std()
    amounts.sloping = np.ones(len(amounts.of))  # lengths are learnt before signs
    K = oracle(model, X, y).kernel_(features(model, X))
    _, logdet = np.linalg.slogdet(K)
    start = np.concatenate([[START[0]], amounts.start, START[1:]])
    spread = SPREAD * np.concatenate([[1.0], amounts.own, [1.0, 1.0]])
    expected = 0.5 * (scores @ np.linalg.solve(K, scores) + logdet)
    expected += 0.5 * (((theta - start) / spread) ** 2).sum()
    assert model.loss_ == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kernel", sorted(KERNELS))
def test_gradient_of_amounts(kernel):
    X, y = sizes(25)
    amounts = Amounts([Numbers(OWN)], X)
    scores = (y - y.mean()) / y.std()
    distances = [np.square(np.subtract.outer(X[:, 5], X[:, 5])) / 2.0]
    rng = np.random.default_rng(0)
    theta = np.concatenate(
        [[1.0], amounts.start + 0.3 * rng.normal(size=len(amounts.start)), [0.2, -1]]
    )

    def loss(t):
        return minus_log_posterior(t, kernel, distances, scores, amounts=amounts)[0]

    gradient = minus_log_posterior(theta, kernel, distances, scores, amounts=amounts)[1]
    assert np.allclose(gradient, approx_fprime(theta, loss, 1e-4), atol=5e-3)


def test_a_decision_that_says_nothing_has_a_long_length():
    space = ft.Space.from_choices(
        {"a": [1, 2, 4, 8], "b": [1, 2, 4, 8], "c": ["x", "y"]}, build=print
    )
    X = space.sample(60, rng=0)
    model = GP(space, random_state=0).fit(X, np.sin(2.0 * X[:, 0]))
    a, b = model.learnt_[0].amounts.lengths(model.learnt_[0].theta[1:-2])
    assert b > 3 * a


@pytest.mark.parametrize("kind", ["plain", "unit", "word"])
def test_amounts_are_learnt_from_few_results(kind):
    """Five widths, 20 results: above the same process on their bits, whatever they are called."""
    name = {"plain": lambda w: w, "unit": lambda w: f"{w}ch", "word": lambda w: f"c{w}"}[kind]
    widths = [name(w) for w in (8, 16, 24, 32, 40, 48, 56, 64)]
    space = ft.Space.from_choices({f"width_{i}": widths for i in range(5)}, build=print)
    taus = []
    for seed in range(3):
        X = space.sample(320, rng=seed)
        W = 8.0 * (X + 1)
        y = np.log(W) @ [0.2, 0.4, 0.6, 0.8, 1.0]
        y += 0.1 * np.random.default_rng(seed).normal(size=320)
        for encoding in (GP(space).encoding, "one-hot"):
            model = GP(space, encoding, random_state=0).fit(X[:20], y[:20])
            taus.append(ft.metrics.kendall(y[20:], model.predict(X[20:])))
    ours, bits = np.reshape(taus, (3, 2)).mean(axis=0)
    assert ours > 0.75
    assert ours > bits + 0.2


def test_chooses_values_where_they_are_linear_in_amounts_and_ranks_where_some_have_failed():
    """A line of two amounts is bent by ranks; a few failures of a graph's table bend values."""
    sizes = ft.Space.from_choices({"a": list(range(1, 33)), "b": list(range(1, 33))}, build=print)
    X = sizes.sample(40, rng=0)
    y = np.log1p(X.astype(float)).sum(axis=1)
    chosen, values = (GP(sizes, target=target).fit(X, y) for target in ("chosen", "value"))
    assert np.array_equal(chosen.scale_.scores, values.scale_.scores)
    rows = NB201.sample(60, rng=0)
    y = (rows == 3).sum(axis=1) + 0.01 * np.arange(60)
    y[:6] -= 1000.0 * (1 + np.arange(6))
    assert len(GP(NB201, random_state=0).fit(rows, y).scale_.scores) == 60


def test_chosen_is_the_best_of_the_three_on_left_out_rows():
    """By fits without each row in turn, with the kernel that ranks have learnt."""
    X = OWN.sample(30, rng=3)
    y = np.exp(Numbers(OWN).transform(X).sum(axis=1) / 6).astype(float)
    ranks = GP(OWN, target="rank").fit(X, y)
    K = next(ranks._blocks(X))[1] + np.eye(30) * (ranks.noise_ + JITTER)
    errors = {}
    for target in ("value", "rank", "between"):
        scale, total = Scale.of(y, target), 0.0
        s = scale.score(y)
        for i in range(30):
            rest = np.arange(30) != i
            alone = K[i, rest] @ np.linalg.solve(K[np.ix_(rest, rest)], s[rest])
            said = ranks.scale_.score(scale.value(np.array([alone])))[0]
            total += (said - ranks.scale_.score(y)[i]) ** 2
        errors[target] = total
    best = min(errors, key=errors.__getitem__)
    assert best != "rank"
    chosen, expected = (GP(OWN, target=t).fit(X, y) for t in ("chosen", best))
    assert np.array_equal(chosen.predict(X), expected.predict(X))
