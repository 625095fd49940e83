"""The sampler in ordinary studies: numbers, conditions, directions, parallel and reloaded ones."""

from __future__ import annotations

import pickle

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

import foretell as ft
from foretell.errors import SettingError, SpaceError, UnknownNameError
from foretell.integrations.optuna import PredictorSampler, suggest
from foretell.integrations.parts.grid import LEVELS, Grid

SPACE = ft.spaces.get("nb201")
LIMIT = 500  # predictions for each trial: a test need not find the last digit


@pytest.fixture(autouse=True)
def _silence():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)


def study_of(objective, n_trials, direction="minimize", n_jobs=1, **settings):
    sampler = PredictorSampler(**{"limit": LIMIT, **settings})
    study = optuna.create_study(direction=direction, sampler=sampler)
    study.optimize(objective, n_trials=n_trials, n_jobs=n_jobs)
    return study


def mixed(trial):
    """Minimum 0 at x = 0.3, lr = 0.01, n = 6, op = None."""
    x = trial.suggest_float("x", -1, 1)
    lr = trial.suggest_float("lr", 1e-4, 1, log=True)
    n = trial.suggest_int("n", 0, 10, step=2)
    op = trial.suggest_categorical("op", [None, "a=b", True])
    return (x - 0.3) ** 2 + (np.log10(lr) + 2) ** 2 + (n - 6) ** 2 / 10 + (op is not None)


def three_by_three(x):
    """More 3 x 3 convolutions are better."""
    return float((np.asarray(x) == 3).sum())


# -- the grid ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "n"),
    [
        (FloatDistribution(-1, 1), LEVELS),
        (FloatDistribution(1e-5, 10, log=True), LEVELS),
        (FloatDistribution(0, 1, step=0.1), 11),
        (FloatDistribution(0, 1, step=0.001), LEVELS),
        (IntDistribution(-3, 3), 7),
        (IntDistribution(0, 1000, step=5), LEVELS),
        (IntDistribution(1, 8, log=True), 8),
        (IntDistribution(1, 100_000, log=True), None),
        (CategoricalDistribution([None, "a=b", 1.5]), 3),
    ],
)
def test_levels_are_values_and_come_back(one, n):
    grid = Grid({"p": one})
    levels = grid.levels[0]
    assert len(levels) == (n or len(levels)) <= LEVELS
    assert all(one._contains(one.to_internal_repr(value)) for value in levels)
    X, whole = grid.rows([{"p": value} for value in levels])
    assert whole.all()
    assert X[:, 0].tolist() == list(range(len(levels)))
    assert [grid.params(x)["p"] for x in X] == levels
    if not isinstance(one, CategoricalDistribution):
        assert (levels[0], levels[-1]) == (one.low, one.high)


def test_a_number_between_levels_is_the_nearest_one():
    rng = np.random.default_rng(0)
    grid = Grid({"x": FloatDistribution(-1, 1), "lr": FloatDistribution(1e-4, 1, log=True)})
    x, lr = rng.uniform(-1, 1, 200), 10 ** rng.uniform(-4, 0, 200)
    X, _ = grid.rows([{"x": a, "lr": b} for a, b in zip(x, lr, strict=True)])
    levels, logs = np.array(grid.levels[0]), np.log(grid.levels[1])
    assert (X[:, 0] == np.abs(x[:, None] - levels).argmin(axis=1)).all()
    assert (X[:, 1] == np.abs(np.log(lr)[:, None] - logs).argmin(axis=1)).all()


def test_trials_without_a_parameter_or_out_of_range_are_left_out():
    grid = Grid({"x": FloatDistribution(0, 1), "n": IntDistribution(1, 3)})
    X, whole = grid.rows([{"x": 0.5, "n": 2}, {"x": 0.5}, {"x": 2.0, "n": 2}, {"n": 1, "x": 1.0}])
    assert whole.tolist() == [True, False, False, True]
    assert X[:, 1].tolist() == [1, 0]


# -- ordinary studies -------------------------------------------------------------------------


def test_mixed_parameters_are_led_to_the_minimum():
    values, random = [], []
    for seed in range(3):
        values.append(study_of(mixed, 25, seed=seed).best_value)
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed))
        study.optimize(mixed, n_trials=25)
        random.append(study.best_value)
    assert np.median(values) < 0.1 < min(random)


def test_the_direction_is_that_of_the_study():
    def turned(trial):
        return -mixed(trial)

    down, up = study_of(mixed, 13, seed=0), study_of(turned, 13, "maximize", seed=0)
    assert [trial.params for trial in down.trials] == [trial.params for trial in up.trials]


def test_the_same_seed_gives_the_same_study_and_a_reloaded_one_goes_on(tmp_path):
    settings = {"seed": 5, "n_startup_trials": 5, "limit": LIMIT}
    whole = [trial.params for trial in study_of(mixed, 12, **settings).trials]
    assert whole[0] != study_of(mixed, 1, seed=6).trials[0].params
    storage = f"sqlite:///{tmp_path}/x.db"
    for n in (4, 4, 4):
        study = optuna.create_study(
            study_name="x",
            storage=storage,
            load_if_exists=True,
            sampler=PredictorSampler(**settings),
        )
        study.optimize(mixed, n_trials=n)
    assert whole == [trial.params for trial in study.trials]


def test_conditional_and_changing_parameters_are_drawn_at_random():
    def objective(trial):
        kind = trial.suggest_categorical("kind", ["a", "b"])
        k = trial.suggest_int("k", 1, 5 + trial.number % 2)  # its range changes
        extra = trial.suggest_float(f"only_{kind}", 0, 1)
        return trial.suggest_float("x", 0, 1) + (kind == "a") + 0.01 * k + 0.01 * extra

    def good(trials):
        return sum(trial.params["kind"] == "b" and trial.params["x"] < 0.3 for trial in trials)

    study = study_of(objective, 15, seed=0, n_startup_trials=5)
    found = study.sampler.infer_relative_search_space(study, study.trials[-1])
    assert set(found) == {"kind", "x"}
    assert good(study.trials[5:]) >= 6  # 1.5 of 10 by chance
    extra = [trial.params["only_b"] for trial in study.trials if "only_b" in trial.params]
    assert len(set(extra)) == len(extra)


def test_failed_trials_are_not_repeated_and_pruned_ones_count():
    def objective(trial):
        n = trial.suggest_int("n", 0, 19)
        if n == 19:
            raise RuntimeError
        trial.report(float(n), 1)
        if n % 2:
            raise optuna.TrialPruned
        return float(n)

    study = optuna.create_study(direction="maximize", sampler=PredictorSampler(seed=1))
    study.optimize(objective, n_trials=20, catch=RuntimeError)
    assert TrialState.FAIL in {trial.state for trial in study.trials}
    assert TrialState.PRUNED in {trial.state for trial in study.trials}
    relative = [trial.params["n"] for trial in study.trials]
    assert sorted(relative) == list(range(20))  # each once
    assert np.mean(relative[10:15]) > np.mean(relative[15:])  # the better ones first


def test_a_space_that_is_used_up_is_drawn_from_again():
    study = study_of(lambda trial: trial.suggest_int("n", 0, 3), 10, seed=0, n_startup_trials=2)
    assert len(study.trials) == 10
    assert {trial.params["n"] for trial in study.trials[:4]} == {0, 1, 2, 3}


# -- parallel ones ----------------------------------------------------------------------------


def test_asked_in_a_batch_they_are_no_neighbours():
    study = study_of(
        lambda t: (t.suggest_float("x", 0, 63) - 40) ** 2, 5, seed=0, n_startup_trials=4
    )
    trials = [study.ask() for _ in range(5)]
    asked = np.round([trial.suggest_float("x", 0, 63) for trial in trials])  # 64 levels
    assert len(set(asked)) == 5
    assert np.ptp(asked) >= 8  # the best predicted ones lie next to each other


def test_what_another_process_was_given_is_left_out(tmp_path):
    storage = f"sqlite:///{tmp_path}/x.db"
    settings = {"seed": 0, "space": SPACE, "n_startup_trials": 5}
    first = optuna.create_study(
        study_name="x", storage=storage, sampler=PredictorSampler(**settings)
    )
    first.optimize(lambda trial: -three_by_three(suggest(trial, SPACE)), n_trials=8)
    given = first.ask().relative_params  # drawn, and no parameter suggested yet
    other = optuna.load_study(study_name="x", storage=storage, sampler=PredictorSampler(**settings))
    assert other.ask().relative_params != given


def test_two_threads():
    study = study_of(
        lambda trial: -three_by_three(suggest(trial, SPACE)), 30, n_jobs=2, seed=0, space=SPACE
    )
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 30
    rows = {tuple(trial.params.values()) for trial in study.trials}
    assert len(rows) == 30


# -- spaces -----------------------------------------------------------------------------------


def test_with_a_space_its_best_row_is_found():
    def objective(trial):
        return three_by_three(suggest(trial, SPACE))

    study = study_of(objective, 25, "maximize", seed=0, space=SPACE)
    assert study.best_value == 6.0


def test_conditions_and_validity_of_a_space_hold():
    nb101 = ft.spaces.get("nb101")
    study = study_of(lambda t: float(suggest(t, nb101).sum()), 14, seed=0, space=nb101)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 14


def test_parameters_that_are_no_network():
    nb101 = ft.spaces.get("nb101")
    params = {one.name: one.options[0] for one in nb101.choices}
    with pytest.raises(SpaceError, match="no network"):
        suggest(optuna.trial.FixedTrial(params), nb101)


@pytest.mark.parametrize("space", ["nb201", "mobile", "tabular"])
def test_suggest_is_the_inverse_of_params(space):
    space = ft.spaces.get(space)
    from foretell.trackers.optuna import distributions

    grid = Grid(distributions(space), space)
    X = space.sample(20, rng=0)
    params = [grid.params(x) for x in X]
    assert (np.stack([suggest(optuna.trial.FixedTrial(p), space) for p in params]) == X).all()
    assert (grid.rows(params)[0] == X).all()


# -- settings ---------------------------------------------------------------------------------


@pytest.mark.parametrize("predictor", ["bayes-lin", "mean", ("bayes-lin", "gp")])
def test_other_predictors(predictor):
    study = study_of(mixed, 12, seed=0, predictor=predictor)
    assert len({tuple(trial.params.items()) for trial in study.trials}) == 12


def test_a_sampler_can_be_pickled():
    sampler = pickle.loads(pickle.dumps(study_of(mixed, 12, seed=0).sampler))
    study = optuna.create_study(sampler=sampler)
    study.optimize(mixed, n_trials=12)
    assert len(study.trials) == 12


def test_wrong_settings():
    with pytest.raises(SettingError, match="kappa"):
        PredictorSampler(kappa=-1)
    with pytest.raises(SettingError, match="n_startup_trials"):
        PredictorSampler(n_startup_trials=1)
    with pytest.raises(SettingError, match="seed"):
        PredictorSampler(seed=-1)
    with pytest.raises(UnknownNameError, match="did you mean 'gp'"):
        PredictorSampler("gpp")
    study = optuna.create_study(directions=["minimize"] * 2, sampler=PredictorSampler())
    with pytest.raises(SettingError, match="one objective"):
        study.ask().suggest_int("n", 0, 3)
