"""Optuna studies, led by the predictors of foretell.

>>> import optuna
>>> previous = optuna.logging.get_verbosity()
>>> optuna.logging.set_verbosity(optuna.logging.WARNING)
>>> def objective(trial):
...     x, op = trial.suggest_float("x", -1, 1), trial.suggest_categorical("op", ["a", "b"])
...     return (x - 0.3) ** 2 + (op == "a")
>>> study = optuna.create_study(sampler=PredictorSampler(seed=0))
>>> study.optimize(objective, n_trials=25)
>>> study.best_params["op"], round(study.best_params["x"], 1), study.best_value < 0.01
('b', 0.3, True)
>>> optuna.logging.set_verbosity(previous)
"""

from __future__ import annotations

import dataclasses
import inspect
import threading
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin, clone

from foretell import _catalog
from foretell._rng import derive, stream
from foretell.errors import SettingError, need
from foretell.predictors import unfitted
from foretell.predictors.parts.predicted import predicted
from foretell.search.history import History
from foretell.spaces.base import Rows, Space
from foretell.strategies.neural_predictor import NeuralPredictor

try:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler, RandomSampler
    from optuna.search_space import intersection_search_space
    from optuna.study import Study, StudyDirection
    from optuna.trial import BaseTrial, FrozenTrial, TrialState
except ImportError as error:
    raise need("optuna", "optuna", "foretell.integrations.optuna") from error

from foretell.integrations.parts.grid import Grid, drawable
from foretell.trackers.optuna import distributions, options

__all__ = ["PredictorSampler", "suggest"]

_PROPOSED = "foretell:proposed"  # attribute of a trial that is out: what it was given
_LOCK = threading.Lock()  # of `n_jobs`: two threads would propose the same


class PredictorSampler(BaseSampler):
    """An Optuna sampler that proposes what a predictor foretells to be best.

    Each trial follows `NeuralPredictor`: after `n_startup_trials` random ones the predictor is
    fitted on the finished trials, and the best predicted parameters that no trial has had are
    next. Values count in the direction of the study; a pruned trial has its last intermediate
    value, a failed one is not fitted and not repeated. What trials that are still running were
    given is left out, and fitted as if its value were the mean of those known: so parallel workers
    (`n_jobs`, ask and tell, other processes on the same storage) do neither the same nor all but
    the same.

    Without `space` the space is that of the parameters which all finished trials have with the
    same range; numbers lie on a grid of at most 64 levels. Other parameters (conditional ones,
    ranges that change) are drawn at random, as are all of the first trial. With `space` the
    columns of the space are categorical parameters of the same names (`suggest` draws them), and
    its own graph view, encodings and conditions lead the search, from the first trial on.

    The k-th trial draws from a generator of (seed, k), so a study that is loaded again goes on
    as it would have.

    Args:
        predictor: a catalog name, or an unfitted regressor on rows, or a tuple of them that take
            turns; without `space`, one by name that takes an `encoding` is given numbers as
            numbers, and one with a `spread` a wide one: in one number a function may be steep. A
            stationary process (`gp`) is the best known here: what a polynomial does not
            know of the corners of numbers keeps the search in them.
        n_startup_trials: random trials at the start, 2 or more.
        space: whose columns the parameters are; None to take what the study has.
        seed: non-negative, or None for fresh entropy.
        predictor_settings: arguments of a predictor given by name.
        kappa: how many standard deviations are added to a prediction, from 0; for predictors that
            have one. None added proposes what is expected to be best, more looks further around.
        limit: rows of a large space that are predicted for each fit.

    References: Wen et al., Neural Predictor for Neural Architecture Search, ECCV 2020; running
    trials: Ginsbourger, Le Riche & Carraro 2010, Kriging Is Well-Suited to Parallelize
    Optimization, section 4.2 (constant liar).
    """

    def __init__(
        self,
        predictor: Any = "gp",
        *,
        n_startup_trials: int = 10,
        space: Space | None = None,
        seed: int | None = None,
        predictor_settings: Mapping[str, Any] | None = None,
        kappa: float = 1.0,
        limit: int = 20_000,
    ) -> None:
        for name, value, least in (
            ("limit", limit, 1),
            ("kappa", kappa, 0),
            ("n_startup_trials", n_startup_trials, 2),
        ):
            if value < least:
                raise SettingError(name, expected=f"at least {least}", got=value)
        if seed is not None:
            stream(seed)  # a bad one is told at once
        self.space = space
        self.seed = seed
        self.kappa = kappa
        self._settings = dict(predictor_settings or {})
        self._members = predictor if isinstance(predictor, tuple) else (predictor,)
        self._takes = [_parameters(one) for one in self._members]
        self._strategy = NeuralPredictor(n_startup_trials, predictor, limit=limit)
        self._study = -1
        self._grid: Grid | None = None

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The columns of `space`, or the parameters that all finished trials have."""
        if len(study.directions) > 1:
            raise SettingError(
                "PredictorSampler", expected="a study of one objective", got=len(study.directions)
            )
        if self.space is not None:
            return distributions(self.space)
        trials = study.get_trials(deepcopy=False)
        found = intersection_search_space(trials, include_pruned=True)
        return {name: one for name, one in found.items() if not one.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The next row of the search, as parameters; none when the space is used up."""
        if not search_space:
            return {}
        with _LOCK:
            grid = self._grid_of(study, search_space)
            history, running = _history(study, trial, grid)
            X = self._next(grid, history, running, trial.number)
            if not len(X):
                return {}
            params = grid.params(X[0])
            study._storage.set_trial_system_attr(trial._trial_id, _PROPOSED, params)
        return params

    def _grid_of(self, study: Study, search_space: dict[str, BaseDistribution]) -> Grid:
        if self._grid is None or (self._study, self._grid.wanted) != (
            study._study_id,
            search_space,
        ):
            self._study = study._study_id
            self._grid = Grid(search_space, self.space)
        return self._grid

    def _next(self, grid: Grid, history: History, running: Rows, number: int) -> Rows:
        """One row (1, d) that no trial has had, or none."""
        strategy = dataclasses.replace(self._strategy, predictor=self._committee(grid))
        known = history.ok.y
        liar = known.mean() if len(known) >= 2 else np.nan
        history = history.append(running, np.full(len(running), liar))
        return strategy.propose(grid.space, history, 1, stream(self.seed, "optuna", number)).X

    def _committee(self, grid: Grid) -> tuple[Optimistic, ...]:
        """The predictors, unfitted, on the space of the grid."""
        own: dict[str, Any] = {}
        if self.space is None:  # a number by itself may be steep: length scales are freer
            own = {"encoding": grid.encodings, "spread": 1.5}
        made = [
            unfitted(one, grid.space, 0, {k: own[k] for k in own if k in takes} | self._settings)
            for one, takes in zip(self._members, self._takes, strict=True)
        ]
        return tuple(Optimistic(one, self.kappa) for one in made)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A random value, of a generator of (seed, trial, name)."""
        seed = derive(self.seed, "optuna", trial.number, param_name)
        return RandomSampler(seed).sample_independent(study, trial, param_name, param_distribution)


class Optimistic(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A predictor that promises more where it knows less: mean + kappa std; the mean, without std.

    Args:
        predictor: unfitted, anything with `fit` and `predict`.
        kappa: from 0.

    References: Auer, Cesa-Bianchi & Fischer 2002, Finite-time Analysis of the Multiarmed Bandit
    Problem; Srinivas et al. 2010, Gaussian Process Optimization in the Bandit Setting.
    """

    def __init__(self, predictor: Any, kappa: float = 1.0) -> None:
        self.predictor = predictor
        self.kappa = kappa

    def fit(self, X: Rows, y: NDArray[np.float64]) -> Self:
        """Fit the predictor."""
        self.predictor_ = clone(self.predictor).fit(X, y)
        return self

    def predict(self, X: Rows) -> NDArray[np.float64]:
        """The upper bounds, (n,)."""
        if not self.kappa:
            return np.asarray(self.predictor_.predict(X), dtype=np.float64)
        mean, std = predicted(self.predictor_, X)
        return mean if std is None else mean + self.kappa * std


def suggest(trial: BaseTrial, space: Space) -> Rows:
    """A row (d,) of `space`, its decisions drawn as categorical parameters of an Optuna trial.

    Raises: SpaceError when the trial's parameters are no network of the space; `PredictorSampler`
        with that space proposes none of these.

    >>> import foretell as ft, optuna
    >>> fixed = optuna.trial.FixedTrial({"op": "skip", "width": 16})
    >>> suggest(fixed, ft.Space.from_choices({"op": ["conv", "skip"], "width": [8, 16]}, print))
    array([1, 1], dtype=int8)
    """
    x: Rows = np.zeros(space.d, dtype=space._dtype)
    for j in space._layout.order:
        if drawable(space, x)[j]:
            names = options(space.choices[j])
            x[j] = names.index(trial.suggest_categorical(space.choices[j].name, names))
    row: Rows = space.check(space.canonical_form(x[None]))[0]
    return row


def _parameters(predictor: Any) -> set[str]:
    """Those of a predictor of the catalog; others are taken as they are."""
    if not isinstance(predictor, str):
        return set()
    kind = _catalog.row("predictor", predictor).load()
    return set(inspect.signature(kind).parameters)


def _history(study: Study, trial: FrozenTrial, grid: Grid) -> tuple[History, Rows]:
    """What the finished trials say, higher is better, and the rows that are out."""
    others = [one for one in study.get_trials(deepcopy=False) if one.number != trial.number]
    done = [one for one in others if one.state.is_finished()]
    out = [one for one in others if one.state is TrialState.RUNNING]
    sign = -1.0 if study.direction is StudyDirection.MINIMIZE else 1.0
    X, whole = grid.rows([one.params for one in done])
    y = sign * np.array([_value(one) for one in done], dtype=np.float64)[whole]
    running, _ = grid.rows([{**one.system_attrs.get(_PROPOSED, {}), **one.params} for one in out])
    return History.empty(grid.space).append(X, y), running


def _value(trial: FrozenTrial) -> float:
    """The value of a finished trial; NaN for a failed one."""
    if trial.state is TrialState.COMPLETE and trial.value is not None:
        return trial.value
    if trial.state is TrialState.PRUNED and trial.intermediate_values:
        return trial.intermediate_values[max(trial.intermediate_values)]
    return np.nan
