"""`neural-predictor`: what it fits, what it ranks, and that it pays."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from sklearn.linear_model import Lasso, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import foretell as ft
from foretell._rng import stream
from foretell.errors import SettingError, UnknownNameError
from foretell.metrics import spearman
from foretell.pareto import hypervolume, nondominated
from foretell.predictors import unfitted
from foretell.search.history import History
from foretell.strategies.neural_predictor import NeuralPredictor
from foretell.strategies.regularized_evolution import RegularizedEvolution

SPACE = ft.spaces.get("nb201")


def run(table, strategy, budget, seed, column="cifar10_val_12ep"):
    search = ft.Search(SPACE, strategy, seed=seed)
    while (left := budget - len(search.values)) > 0:
        X = search.ask(min(search.round_size or left, left))
        search.tell(X, table.query(X, column))
    return search


def results(n):
    """A history of `n` results."""
    X = next(SPACE.enumerate())[:n]
    return History.of(SPACE, X, np.zeros(n))


def test_second_phase_is_the_top_of_the_whole_space():
    X = SPACE.sample(40, rng=0)
    history = History.of(SPACE, X, X.sum(axis=1))
    strategy = NeuralPredictor(20, Ridge(alpha=1e-6))
    got = strategy.propose(SPACE, history, 5, stream(0)).X
    # the sum of the options is linear, so the model is exact and the order can be computed by hand
    everything = np.concatenate(list(SPACE.enumerate()))
    known = np.isin(SPACE.row_key(everything), SPACE.row_key(X))
    best = np.sort(everything[~known].sum(axis=1))[::-1][:5]
    assert got.sum(axis=1).tolist() == best.tolist()


def test_phases_and_the_split_of_a_mixed_ask():
    X = SPACE.sample(30, rng=0)
    history = History.of(SPACE, X, X.sum(axis=1))
    strategy = NeuralPredictor(n_train=34, predictor=Ridge())
    first = strategy.propose(SPACE, history, 10, stream(1)).X
    assert (first[4:].sum(axis=1) >= 22).all()  # 4 random rows are missing, the rest is ranked
    assert first[:4].sum() < 4 * 22
    assert strategy.propose(SPACE, history, 4, stream(1)).ranking is None
    told = strategy.propose(SPACE, history, 10, stream(1))
    assert np.array_equal(told.X, first)
    assert len(told.ranking) == 1000


def test_explore_takes_a_share_at_random():
    X = SPACE.sample(30, rng=0)
    history = History.of(SPACE, X, X.sum(axis=1))
    got = NeuralPredictor(10, Ridge(), explore=0.5).propose(SPACE, history, 10, stream(2)).X
    assert 2 <= (got.sum(axis=1) >= 20).sum() <= 8


@pytest.mark.parametrize(("explore", "batch"), [(0.4, 1), (0.2, 2), (0.7, 5), (1.0, 3), (0.0, 3)])
def test_the_rate_of_random_rows_is_the_one_that_is_set(explore, batch):
    X = SPACE.sample(60, rng=0)
    history = History.of(SPACE, X, X.sum(axis=1))
    strategy = NeuralPredictor(10, Ridge(), explore=explore)
    asks = 200 // batch
    rows = [strategy.propose(SPACE, history, batch, stream(i)).X for i in range(asks)]
    random = (np.concatenate(rows).sum(axis=1) < 20).mean()  # the best predicted have 20 and more
    n = asks * batch
    assert abs(random - explore) <= 3.5 * np.sqrt(explore * (1 - explore) / n) + 0.03


def test_several_predictors_share_a_round():
    X = SPACE.sample(40, rng=0)
    history = History.of(SPACE, X, X[:, 0] + 10.0 * X[:, 5])
    blind = Lasso(alpha=50.0)  # sees nothing: equal predictions everywhere
    strategy = NeuralPredictor(10, (Ridge(alpha=1e-6), blind))
    got = strategy.propose(SPACE, history, 9, stream(0)).X
    sighted = (got[:, 0] == 4) & (got[:, 5] == 4)
    assert len(np.unique(SPACE.row_key(got))) == 9
    assert sighted[:5].all()
    assert sighted[5:].sum() < 4
    # single asks go round: the next one is the other's
    later = history.append(got[:1], [0.0])
    assert isinstance(strategy.propose(SPACE, history, 1, stream(0)).model, Ridge)
    assert isinstance(strategy.propose(SPACE, later, 1, stream(0)).model, Lasso)


def test_round_size():
    assert [NeuralPredictor(30).round_size(results(done)) for done in (0, 12, 30, 90)] == [
        30,
        18,
        None,
        None,
    ]
    assert [NeuralPredictor(30, batch=20).round_size(results(done)) for done in (29, 30, 50)] == [
        1,
        20,
        20,
    ]


def test_unfitted_by_name_and_by_example():
    assert unfitted("rf", SPACE, 7, {"trees": 3}).get_params()["random_state"] == 7
    pipeline = make_pipeline(StandardScaler(), Ridge(random_state=1))
    assert unfitted(pipeline, SPACE, 7).get_params()["ridge__random_state"] == 7
    assert pipeline.get_params()["ridge__random_state"] == 1
    with pytest.raises(UnknownNameError, match="did you mean 'rf'"):
        unfitted("rff", SPACE, 0)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"n_train": 1}, "n_train: expected at least 2, got 1"),
        ({"batch": 0}, "batch: expected at least 1, or None"),
        ({"explore": 1.5}, "explore: expected 0 to 1"),
        ({"limit": 0}, "limit: expected at least 1"),
        ({"predictor": ()}, "predictor: expected a predictor"),
    ],
)
def test_wrong_settings(settings, says):
    with pytest.raises(SettingError, match=says):
        NeuralPredictor(**settings)


def test_space_too_large_to_enumerate():
    space = ft.Space.from_choices({f"c{i}": list(range(9)) for i in range(12)}, build=print)
    X = space.sample(40, rng=0)
    history = History.of(space, X, X.sum(axis=1))
    strategy = NeuralPredictor(20, Ridge(), limit=2_000)
    got = strategy.propose(space, history, 6, stream(0)).X
    sampled = space.sample(2_000, rng=1).sum(axis=1).max()
    assert len(got) == 6
    assert (got.sum(axis=1) > sampled).all()  # local improvement goes beyond the sample


def test_with_costs_the_top_is_spread_over_the_predicted_front():
    X = SPACE.sample(60, rng=0)
    history = History.of(SPACE, X, X.sum(axis=1))
    strategy = NeuralPredictor(20, Ridge(alpha=1e-6), minimize=("params",))
    told = strategy.propose(SPACE, history, 40, stream(0))
    everything = np.concatenate(list(SPACE.enumerate()))
    everything = everything[~np.isin(SPACE.row_key(everything), SPACE.row_key(X))]
    # the sum of the options is linear, so that the front can be computed without the model; sums
    # and parameters that are equal are so up to the last bits of the prediction
    F = np.column_stack([everything.sum(axis=1), -SPACE.measure(everything, ("params",))])
    best = F[nondominated(F)]
    mine = np.column_stack([told.X.sum(axis=1), -SPACE.measure(told.X, ("params",))])
    assert {tuple(row) for row in best} <= {tuple(row) for row in mine}
    assert told.ranking.minimize == ("params",)
    assert np.array_equal(told.ranking.costs[:40], -mine[:, 1:])


class Built(ft.Space):
    """A user's space: what a network costs is known when it is built."""

    depth = ft.choice([1, 2, 3])
    width = ft.choice([4, 8, 16, 32, 64, 128], repeat="depth")
    built = 0

    def build(self, x, input_shape, n_outputs):
        type(self).built += 1
        sizes = (input_shape[0], *self.decode(x)["width"], n_outputs)
        layers = [torch.nn.Linear(a, b) for a, b in itertools.pairwise(sizes)]
        return torch.nn.Sequential(*layers)


def test_costs_that_need_a_network_are_foretold():
    space = Built(input_shape=(10,), n_outputs=3)
    X = np.unique(space.sample(60, rng=0), axis=0)
    history = History.of(space, X, X.sum(axis=1))
    strategy = NeuralPredictor(20, Ridge(alpha=1e-6), minimize=("params",))
    told = strategy.propose(space, history, 12, stream(0))
    assert type(space).built == len(X)
    strategy.propose(space, history, 3, stream(1))
    assert type(space).built == len(X)  # counted once
    ranking = told.ranking
    true = space.measure(ranking.X, ("params",))[:, 0]
    assert spearman(ranking.costs[:, 0], true) > 0.95
    assert true[:12].max() > 20 * true[:12].min()  # from the small end to the large one


def test_beats_evolution_and_random_on_the_real_table(data_dir):
    table = ft.Table.open(data_dir / "nb201.csv.gz", space=SPACE)
    ours = NeuralPredictor(30, "bayes-lin-reg")
    evolution = ft.strategies.get("regularized-evolution")
    got = np.array(
        [
            [run(table, s, 50, seed).best_value for s in (ours, evolution, "random")]
            for seed in range(20)
        ]
    ).mean(axis=0)
    assert got[0] > got[1] + 0.2
    assert got[0] > got[2] + 0.2


def test_rounds_come_to_the_optimum_of_the_real_table(data_dir):
    table = ft.Table.open(data_dir / "nb201.csv.gz", space=SPACE)
    search = run(table, NeuralPredictor(50, "bayes-lin-reg", batch=10), 130, seed=0)
    assert len(np.unique(SPACE.row_key(search.history.X))) == 130
    assert search.best_value > table.column("cifar10_val_12ep").max() - 0.2


def test_fronts_on_the_real_table_are_better_than_random_ones(data_dir):
    table = ft.Table.open(data_dir / "nb201.csv.gz", space=SPACE)
    reference = [10.0, -1.6e6]

    def volume(strategy, seed):
        X = run(table, strategy, 100, seed).history.X
        F = np.column_stack([table.query(X, "cifar10_val_12ep"), -SPACE.measure(X, ("params",))])
        return hypervolume(F, reference)

    costs = ("params",)
    ours = NeuralPredictor(50, "bayes-lin-reg", minimize=costs)
    evolution = RegularizedEvolution(25, 5, minimize=costs)
    got = np.array([[volume(s, seed) for s in (ours, evolution, "random")] for seed in range(6)])
    assert got[:, 0].mean() > got[:, 2].mean()
    assert got[:, 1].mean() > got[:, 2].mean()


def test_a_warm_start_takes_the_best_of_a_pool_and_ranks_as_ever_after():
    warm = NeuralPredictor(10, Ridge(), warm="size")
    first, cold = (
        ft.Search(SPACE, strategy, seed=0).ask(10)
        for strategy in (warm, NeuralPredictor(10, Ridge()))
    )
    assert SPACE.costs(first).params.min() > np.median(SPACE.costs(cold).params)
    history = History.of(SPACE, first, first.sum(axis=1))
    later = warm.propose(SPACE, history, 5, stream(0)).X
    same = NeuralPredictor(10, Ridge()).propose(SPACE, history, 5, stream(0)).X
    assert np.array_equal(later, same)
    with pytest.raises(SettingError, match="neural-predictor, warm"):
        NeuralPredictor(warm=3)
