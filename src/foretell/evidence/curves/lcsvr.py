"""A support vector machine on statistics of the start of a curve."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata
from sklearn.model_selection import RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import NuSVR

from foretell._rng import derive, own_global, stream
from foretell.evidence.curves.base import CurveMethod, Floats


class LcSVR(CurveMethod):
    """nu-SVR with a Gaussian kernel on the start of a curve, fitted on curves that are whole.

    Features of the first t values: their mean and deviation, those of their first and of their
    second differences, and with `whole` the values as well. Each t has a machine of its own, whose
    C, nu and gamma are the best of random draws by cross-validation. It learns normal scores of the
    ranks of the ends, which failed trainings cannot stretch; predictions are on the scale of ends.

    Args:
        whole: whether the t values are features too.
        draws: settings that are tried, at least 1.
        metric: the curve that is read; None for "val_acc", or "val_loss".
        random_state: non-negative seed of draws and folds.

    References: Baker et al., Accelerating Neural Architecture Search using Performance Prediction,
    2017. Differs: 50 draws instead of 1,000; the study of White et al. (2021) leaves the t values
    out, `whole=False`.

    >>> t = np.arange(1, 11)
    >>> curves = {"val_acc": [c - 0.5 * c / t for c in np.linspace(0.5, 0.9, 20)]}
    >>> bool(np.ptp(LcSVR().fit(curves).predict(curves, epochs=4)) > 0.2)
    True
    """

    learns = True

    def __init__(
        self,
        whole: bool = True,
        draws: int = 50,
        metric: str | None = None,
        random_state: int = 0,
    ) -> None:
        self.whole = whole
        self.draws = draws
        self.metric = metric
        self.random_state = random_state

    def _learn(self, whole: Floats, y: Floats) -> None:
        self.whole_, self.ends_ = whole, np.sort(y)
        self.scores_ = ndtri((rankdata(y) - 0.5) / len(y))
        self.machines_: dict[int, Any] = {}

    def _predict(self, seen: Floats, horizon: int) -> tuple[Floats, None]:
        t = seen.shape[1]
        if t not in self.machines_:
            self.machines_[t] = self._machine(min(t, self.whole_.shape[1]))
        said = self.machines_[t].predict(self._features(seen))
        return beyond(said, np.sort(self.scores_), self.ends_), None

    def _features(self, seen: Floats) -> Floats:
        parts = [statistics(seen), seen] if self.whole else [statistics(seen)]
        return np.concatenate(parts, axis=1)

    def _machine(self, t: int) -> Any:
        F = self._features(self.whole_[:, :t])
        y = self.scores_
        rng = stream(self.random_state, "lcsvr", t)
        tried = {
            "nusvr__C": 10 ** rng.uniform(-2, 2, self.draws),
            "nusvr__nu": rng.uniform(0.05, 1.0, self.draws),
            "nusvr__gamma": 10 ** rng.uniform(-4, 0.5, self.draws),
        }
        base = make_pipeline(StandardScaler(), NuSVR())
        seed = derive(self.random_state, "lcsvr", "folds")
        with own_global(seed):
            if len(y) < 6:
                return base.fit(F, y)
            search = RandomizedSearchCV(
                base, tried, n_iter=self.draws, cv=3, random_state=seed,
                scoring="neg_mean_squared_error",
            )  # fmt: skip
            return search.fit(F, y).best_estimator_


def statistics(seen: Floats) -> Floats:
    """Mean and deviation of values, first and second differences: (n, t) to (n, 6).

    >>> statistics(np.array([[1.0, 2.0, 4.0]])).round(2).tolist()
    [[2.33, 1.25, 1.5, 0.5, 1.0, 0.0]]
    """
    first = np.diff(seen, axis=1)
    parts = [seen, first, np.diff(first, axis=1)]
    empty = np.zeros((len(seen), 1))
    parts = [part if part.shape[1] else empty for part in parts]
    return np.stack([f(part, axis=1) for part in parts for f in (np.mean, np.std)], axis=1)


def beyond(x: Floats, known: Floats, values: Floats) -> Floats:
    """`values` at x between ascending `known`, and beyond their ends with the mean slope.

    >>> beyond(np.array([0.5, 3.0]), np.array([0.0, 2.0]), np.array([1.0, 5.0])).tolist()
    [2.0, 7.0]
    """
    span = known[-1] - known[0]
    slope = (values[-1] - values[0]) / span if span else 1.0
    inside = np.interp(x, known, values)
    found: Floats = inside + slope * (x - np.clip(x, known[0], known[-1]))
    return found
