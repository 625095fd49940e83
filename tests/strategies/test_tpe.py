"""`tpe` and `nsga2`: the sampler sees what is known, and its suggestions are rows that are new."""

from __future__ import annotations

import numpy as np
import pytest

import foretell as ft
from foretell._rng import stream
from foretell.errors import SettingError
from foretell.search.history import History
from foretell.strategies.nsga2 import NSGA2
from foretell.strategies.tpe import TPE

optuna = pytest.importorskip("optuna")
SPACE = ft.spaces.get("nb201")


def known(n=60):
    X = SPACE.sample(n, rng=0)
    return History.of(SPACE, X, (X == 3).sum(axis=1))


def test_suggestions_are_those_of_a_study_of_its_own():
    history = known()
    mine = TPE(repeats=True, candidates=11).propose(SPACE, history, 1, stream(5)).X
    rng = stream(5)
    sampler = optuna.samplers.TPESampler(
        n_startup_trials=1, n_ei_candidates=11, multivariate=True, seed=int(rng.integers(2**31))
    )
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    space = {str(j): optuna.distributions.CategoricalDistribution(range(5)) for j in range(6)}
    for x, y in zip(history.X.tolist(), history.y.tolist(), strict=True):
        params = {str(j): v for j, v in enumerate(x)}
        study.add_trial(optuna.create_trial(params=params, distributions=space, value=y))
    theirs = list(study.ask(space).params.values())
    optuna.logging.set_verbosity(before)
    if not (theirs == history.X).all(axis=1).any():  # a known one would have been drawn again
        assert mine[0].tolist() == theirs


@pytest.mark.parametrize("strategy", [TPE(), NSGA2(population=20)])
def test_they_learn_and_repeat_nothing(strategy):
    history = known()
    before = optuna.logging.get_verbosity()
    X = strategy.propose(SPACE, history, 20, stream(0)).X
    assert optuna.logging.get_verbosity() == before
    assert (X == 3).mean() > (history.X == 3).mean() + 0.1
    keys = SPACE.canonical(np.concatenate([X, history.X]))
    assert len(np.unique(keys[:20])) == 20
    assert not np.isin(keys[:20], keys[20:]).any()


def test_generations_follow_from_numbers():
    X = SPACE.sample(40, rng=0)
    y = np.where(np.arange(40) < 20, 0.0, 1.0)  # the second generation is better
    history = History.of(SPACE, X, y)
    strategy = NSGA2(population=20, crossover=0.0, mutation=0.2, repeats=True)
    rows = [strategy.propose(SPACE, history, 4, stream(seed)).X for seed in range(10)]
    children = np.concatenate(rows)
    old, new = ((children[:, None] != part).sum(axis=2).min(axis=1) for part in (X[:20], X[20:]))
    assert (new == 1).mean() > 0.5, "a parent with a decision drawn anew"
    assert (old == 1).mean() < 0.2


def test_several_objectives_and_wrong_settings():
    history = known(40)
    cost = {}
    for minimize in ((), ("params",)):
        strategy = NSGA2(population=20, minimize=minimize)
        X = [strategy.propose(SPACE, history, 20, stream(seed)).X for seed in range(4)]
        cost[minimize] = SPACE.costs(np.concatenate(X)).params.mean()
    assert cost["params",] < cost[()]
    with pytest.raises(SettingError, match="nsga2, population"):
        NSGA2(population=1)
    with pytest.raises(SettingError, match="tpe, batch"):
        TPE(batch=0)
