"""BRP-NAS: which rows each round takes, by an exact predictor."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

import foretell as ft
from foretell._rng import stream
from foretell.errors import SettingError
from foretell.search.history import History
from foretell.strategies.brp_nas import BRPNAS

SPACE = ft.spaces.get("nb201")
ALL = np.concatenate(list(SPACE.enumerate()))


def known(n):
    X = ALL[np.random.default_rng(1).permutation(len(ALL))[:n]]
    return History.of(SPACE, X, X.sum(axis=1))


def strategy(**more):
    return BRPNAS(iterations=4, per_round=20, predictor=Ridge(1e-6), repeats=True, **more)


@pytest.mark.parametrize(("done", "part"), [(20, 1 / 2), (40, 1 / 4), (60, 1 / 8)])
def test_half_are_the_top_and_half_are_random_of_the_upper_part(done, part):
    history = known(done)
    X = strategy().propose(SPACE, history, 20, stream(0)).X
    new = ALL[~np.isin(SPACE.row_key(ALL), SPACE.row_key(history.X))]
    top = np.sort(new.sum(axis=1))[::-1]
    assert X[:10].sum(axis=1).tolist() == top[:10].tolist()
    rest = X[10:].sum(axis=1)
    edge = np.quantile(ALL.sum(axis=1), 1 - part)
    assert (rest >= edge - 1).all()
    assert rest.mean() < top[200], "random, not the next best"


def test_the_first_round_is_random_and_the_last_ranking_is_the_top():
    assert strategy().propose(SPACE, History.empty(SPACE), 20, stream(0)).model is None
    history = known(80)
    X = strategy().propose(SPACE, history, 15, stream(0)).X
    new = ALL[~np.isin(SPACE.row_key(ALL), SPACE.row_key(history.X))]
    assert X.sum(axis=1).tolist() == np.sort(new.sum(axis=1))[::-1][:15].tolist()
    sizes = [strategy(batch=7).round_size(known(n)) for n in (0, 5, 20, 79, 80, 200)]
    assert sizes == [20, 15, 20, 1, 7, 7]
    assert strategy().round_size(known(80)) is None


@pytest.mark.parametrize(("top", "each"), [(0.5, 1), (0.5, 3), (0.25, 1), (0.9, 2)])
def test_a_round_has_its_share_of_the_top_however_it_is_asked_for(top, each):
    """One half of a single row, rounded, is none: asked one by one a round had no top at all."""
    history, n_top = known(20), 0
    while len(history) < 40:
        new = ALL[~np.isin(SPACE.row_key(ALL), SPACE.row_key(history.X))]
        X = strategy(top=top).propose(SPACE, history, each, stream(len(history))).X
        n_top += int((X.sum(axis=1) >= np.sort(new.sum(axis=1))[-each]).sum())
        history = history.append(X, X.sum(axis=1))
    assert abs(n_top - top * (len(history) - 20)) <= 2


def test_the_share_of_the_top_is_a_setting():
    history = known(40)
    X = strategy(top=1.0).propose(SPACE, history, 10, stream(0)).X
    assert X.sum(axis=1).min() >= 20
    with pytest.raises(SettingError, match="brp-nas, top"):
        BRPNAS(top=1.5)
