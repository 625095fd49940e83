"""Random search of a predictor's settings on its training rows alone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.metrics import make_scorer
from sklearn.model_selection import KFold, ParameterGrid, ParameterSampler, cross_val_score

from foretell._rng import derive
from foretell.errors import SettingError
from foretell.metrics import kendall
from foretell.predictors.base import Predictor
from foretell.spaces.base import Rows

FOLDS = 3
FEWEST = 10  # training rows below which nothing is compared
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Tuning:
    """How much may be tried for each fit: settings (`trials`), or processor `seconds`.

    >>> Tuning.of("20"), Tuning.of("90s"), Tuning.of(None)
    (Tuning(trials=20, seconds=inf), Tuning(trials=1000, seconds=90.0), None)
    """

    trials: int = 1000
    seconds: float = float("inf")

    @classmethod
    def of(cls, setting: str | int | None) -> Self | None:
        """From what a user says: a number of trials, or seconds with a unit (s, m, h)."""
        if setting is None:
            return None
        text = str(setting).strip()
        number, unit = (text[:-1], text[-1:]) if text[-1:] in _UNITS else (text, "")
        try:
            value = float(number) if unit else int(number)
        except ValueError:
            value = 0
        if not 0 < value < float("inf"):
            said = "trials such as 20, or a time such as 60s"
            raise SettingError("tune", expected=said, got=text)
        return cls(seconds=value * _UNITS[unit]) if unit else cls(trials=int(value))

    def __str__(self) -> str:
        return f"{self.seconds:g}s" if np.isfinite(self.seconds) else str(self.trials)


@dataclass(frozen=True)
class Tuned:
    """The best of the settings tried; {} for those that the predictor came with."""

    settings: dict[str, Any]
    trials: int

    def __str__(self) -> str:
        return json.dumps(self.settings, default=str) if self.settings else ""


def tune(model: Any, X: Rows, y: NDArray[np.float64], limit: Tuning | None, seed: int) -> Tuned:
    """Settings out of `model.ranges` with the best cross-validated Kendall tau on (X, y).

    The model as it is comes first, then random draws; each is scored by the mean tau of 3 folds,
    the same ones for all. Nothing is tried for fewer than 10 rows or a model without ranges.

    References: White et al. 2021, How Powerful are Performance Predictors in NAS?, section 3.
    """
    ranges = model.ranges if isinstance(model, Predictor) else {}
    if limit is None or not ranges or len(X) < FEWEST:
        return Tuned({}, 0)
    folds = KFold(FOLDS, shuffle=True, random_state=derive(seed, "folds"))
    best, best_tau, trials = dict[str, Any](), -np.inf, 0
    start = time.process_time()
    for settings in _candidates(ranges, seed):
        if trials >= limit.trials or (trials and time.process_time() - start >= limit.seconds):
            break
        tau = _tau(clone(model).set_params(**settings), X, y, folds)
        if tau > best_tau:
            best, best_tau = settings, tau
        trials += 1
    return Tuned(best, trials)


def _candidates(ranges: Mapping[str, Any], seed: int) -> Iterator[dict[str, Any]]:
    """{}, then different random settings, without end where a range is continuous."""
    yield {}
    listed = all(isinstance(values, list) for values in ranges.values())
    n = len(ParameterGrid(dict(ranges))) if listed else 2**31
    for settings in ParameterSampler(dict(ranges), n, random_state=derive(seed, "tune")):
        yield {k: v.item() if isinstance(v, np.generic) else v for k, v in settings.items()}


def _tau(model: Any, X: Rows, y: NDArray[np.float64], folds: KFold) -> float:
    try:
        scores = cross_val_score(
            model, X, y, cv=folds, scoring=make_scorer(kendall), error_score="raise"
        )
    except Exception:  # settings that do not work on these rows are bad settings, no more
        return -np.inf
    return float(np.mean(scores))
