"""`foresight`: its Gaussian processes against scikit-learn's, what it asks while rows are out, and
how soon it finds the best of a real table."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern
from sklearn.linear_model import BayesianRidge, Ridge

import foretell as ft
from foretell._rng import stream
from foretell.encodings.parts.standard import squares
from foretell.errors import SettingError
from foretell.pareto import nondominated
from foretell.predictors.parts.exact import optimum
from foretell.search.history import History
from foretell.strategies.foresight import Foresight
from foretell.strategies.parts.candidates import around, drawn, everything
from foretell.strategies.parts.outlook import (
    Believing,
    Committee,
    Process,
    shares,
)

SPACE = ft.spaces.get("nb201")


def counted(X):
    return (X == 3).sum(axis=1) - 0.5 * (X == 4).sum(axis=1)


def features(n, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(n, 3)), rng.normal(size=(n, 2))]


@pytest.fixture(scope="module")
def process():
    z = np.random.default_rng(1).normal(size=20)
    distances = [squares(F, F) for F in features(20)]
    return Process(z, features(20), optimum("matern", distances, z)[1]), z


def by_scikit_learn(process, known, z):
    kernel = ConstantKernel(process.signal, "fixed") * Matern(1.0, "fixed", nu=1.5)
    noise = process.noise + 1e-6
    model = GaussianProcessRegressor(kernel, alpha=noise, optimizer=None)
    return model.fit(process.scaled(known), z)


def test_the_posterior_is_that_of_scikit_learn(process):
    process, z = process
    model = by_scikit_learn(process, features(20), z)
    mean, std = model.predict(process.scaled(features(7, 5)), return_std=True)
    assert process.mean(features(7, 5)) == pytest.approx(mean)
    assert Believing(process, features(7, 5)).variance == pytest.approx(std**2, abs=1e-6)


def test_what_others_say_of_a_result_is_a_fit_without_it(process):
    process, z = process
    known = features(20)
    for i in (0, 7, 19):
        rest = np.delete(np.arange(20), i)
        model = by_scikit_learn(process, [F[rest] for F in known], z[rest])
        alone = model.predict(process.scaled([F[i : i + 1] for F in known]))
        assert process.left_out[i] == pytest.approx(alone[0])


def test_a_row_that_is_out_narrows_deviations_as_its_result_would(process):
    process, z = process
    at = features(9, 5)
    believing = Believing(process, at)
    believing.take(4)
    believing.take(2)
    known = [np.concatenate([F, G[[4, 2]]]) for F, G in zip(features(20), at, strict=True)]
    model = by_scikit_learn(process, known, np.append(z, [0.0, 0.0]))  # values do not matter
    std = model.predict(process.scaled(at), return_std=True)[1]
    rest = [0, 1, 3, 5, 6, 7, 8]
    assert believing.variance[rest] == pytest.approx(std[rest] ** 2, abs=1e-5)


def test_hyperparameters_are_searched_with_the_first_results_and_found_again():
    X = SPACE.sample(64, rng=0)
    y = counted(X) + 0.01 * np.arange(64)
    theta = [
        [one.theta for one in Committee(standard, X[:n], y[:n]).processes]
        for standard in (everything(SPACE).standard, everything(ft.spaces.get("nb201")).standard)
        for n in (59, 60, 62, 63)  # every third from 60 results on
    ]
    assert np.array_equal(theta[:4], theta[4:]), "whatever has been asked before"
    assert np.array_equal(theta[1], theta[2])
    assert not np.array_equal(theta[0], theta[1])
    assert not np.array_equal(theta[2], theta[3])
    late = np.append(np.zeros(58), 1.0)
    assert Committee(everything(SPACE).standard, X[:59], late).processes, "58 equal ones"


def test_scales_do_not_depend_on_how_skewed_results_are():
    X = SPACE.sample(30, rng=0)
    pool = everything(SPACE)
    y = counted(X) + 0.01 * np.arange(30)
    one, other = (Committee(pool.standard, X, v) for v in (y, np.exp(3 * y)))
    assert np.array_equal(one.mean(pool), other.mean(pool))
    assert shares(np.array([2.0, 1.0])).tolist() == [0.75, 0.25]
    assert np.corrcoef(one.oof_, y)[0, 1] > 0.5, "in the unit of the results"


def test_equal_results_leave_everything_open():
    X = SPACE.sample(12, rng=0)
    committee = Committee(everything(SPACE).standard, X, np.full(12, 0.93))
    outlook = committee.outlook(everything(SPACE))
    assert np.ptp(outlook.mean) == 0
    assert outlook.std.max() == 1
    said, std = committee.value(outlook.mean, outlook.std)
    assert (said == 0.93).all()
    assert (std == 0).all(), "not a deviation of 100 points"


def test_everything_is_every_function_once():
    pool = everything(SPACE)
    assert len(pool) == 6_466  # of the table's README
    assert everything(SPACE) is pool
    assert len(everything(SPACE, repeats=True)) == 15_625
    assert pool.places(SPACE.canonical(pool.X[[5, 7]])).tolist() == [5, 7]


def test_a_large_space_is_looked_at_near_the_best():
    space = ft.spaces.get("nb301")
    best = space.sample(3, rng=1)
    goal = space.sample(1, rng=2)[0]
    pool = drawn(space, best[:1], stream(0))
    wide = around(pool, best, lambda c: (goal == c.X).sum(axis=1).astype(float), stream(1))
    near = np.concatenate([space.neighbors(x) for x in best])
    assert np.isin(wide.key(near), wide.keys).all()
    assert (goal == wide.X).sum(axis=1).max() >= (goal == pool.X).sum(axis=1).max() + 2
    assert len(np.unique(wide.keys)) == len(wide)
    assert np.array_equal(wide.keys, np.sort(wide.keys))


def test_first_random_rows_then_one_at_a_time():
    strategy = Foresight(n_train=6)
    search = ft.Search(SPACE, strategy, seed=0)
    assert search.round_size == 6
    first = search.ask(4)
    assert search.round_size == 2, "rows that are out count"
    search.tell(first, counted(first))
    assert search.proposal.ranking is None
    search.ask(2)
    assert search.round_size == 1
    search.ask(1)
    assert search.proposal.ranking is not None, "does not wait for the last of the random ones"
    assert search.ask(3).shape == (3, 6)


def test_levels_of_exploration_follow_the_number_of_rows():
    X = SPACE.sample(20, rng=0)
    history = History.of(SPACE, X, counted(X) + 0.01 * np.arange(20))
    pool = everything(SPACE)
    outlook = Committee(pool.standard, history.X, history.y).outlook(pool)
    free = ~np.isin(pool.keys, SPACE.canonical(X))
    for n, c in ((20, 2.0), (21, 0.0)):  # 20 mod 3 = 2, 21 mod 3 = 0
        got = Foresight(5).propose(SPACE, history, 1, stream(0)).X
        score = np.where(free, outlook.mean + c * outlook.std, -np.inf)
        assert np.array_equal(got[0], pool.X[np.argmax(score)])
        history = history.append(got, [history.y.min()])
        outlook = Committee(pool.standard, history.X, history.y).outlook(pool)
        free = ~np.isin(pool.keys, SPACE.canonical(history.X))
        assert len(history) == n + 1


def test_what_is_out_is_neither_asked_again_nor_its_twin():
    X = SPACE.sample(25, rng=0)
    y = counted(X) + 0.01 * np.arange(25)
    history = History.of(SPACE, X, y)
    greedy = Foresight(5, explore=(2.0,))
    first = greedy.propose(SPACE, history, 1, stream(0)).X
    batch = greedy.propose(SPACE, history, 3, stream(0)).X
    assert np.array_equal(batch[:1], first)
    later = greedy.propose(SPACE, history.with_pending(first), 2, stream(0)).X
    assert np.array_equal(batch[1:], later), "as if the first of the batch had been out"


@pytest.mark.parametrize("model", [Ridge(), BayesianRidge(), "bayes-lin"], ids=str)
def test_another_predictor_may_lead(model):
    X = SPACE.sample(20, rng=0)
    history = History.of(SPACE, X, X.sum(axis=1).astype(float))
    strategy = Foresight(5, explore=(0.0,), predictor=model)
    proposal = strategy.propose(SPACE, history, 4, stream(0))
    mean = proposal.model.predict(proposal.X)
    assert mean.min() > np.quantile(proposal.model.predict(everything(SPACE).X), 0.95)
    assert np.array_equal(proposal.ranking.X[:1], proposal.X[:1])
    assert (proposal.ranking.std is None) == isinstance(model, Ridge)


def test_compromises_spread_over_the_front():
    X = SPACE.sample(30, rng=0)
    history = History.of(SPACE, X, counted(X) + 0.01 * np.arange(30))
    strategy = Foresight(5, explore=(0.0,), minimize=("params",))
    proposal = strategy.propose(SPACE, history, 12, stream(0))
    params = SPACE.costs(proposal.X).params
    assert len(np.unique(params)) >= 4, "not one end of it alone"
    pool = everything(SPACE)
    F = np.column_stack([proposal.model.mean(pool), -SPACE.costs(pool.X).params.astype(float)])
    free = ~np.isin(pool.keys, SPACE.canonical(X))
    front = pool.X[free][nondominated(F[free])]
    assert np.isin(SPACE.row_key(proposal.X[:1]), SPACE.row_key(front)).all()


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"n_train": 1}, "n_train"),
        ({"batch": 0}, "batch"),
        ({"explore": ()}, "explore"),
        ({"explore": (1.0, -1.0)}, "explore"),
        ({"explore": "much"}, "explore"),
    ],
)
def test_wrong_settings_are_named(settings, name):
    with pytest.raises(SettingError, match=name):
        Foresight(**settings)


def networks_until(table, column, strategy, seed, most):
    """Networks until the best of the column is found; `most` + 1 where it is not."""
    best = table.column(column).max()
    search = ft.Search(SPACE, strategy, seed=seed)
    while search.n_rows < most:
        X = search.ask(min(search.round_size or most, most - search.n_rows))
        search.tell(X, table.query(X, column))
        if search.best_value >= best:
            return search.n_rows
    return most + 1


def test_finds_the_best_of_a_real_table_in_few_networks(data_dir):
    table = ft.Table.open(data_dir / "nb201.csv.gz", space=SPACE)
    column = "cifar10_val_12ep"
    found = [networks_until(table, column, Foresight(), seed, 100) for seed in range(5)]
    assert np.median(found) <= 50  # of 6,466 functions; random search needs half of them
    assert max(found) <= 100
