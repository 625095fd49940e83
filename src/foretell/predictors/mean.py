"""The mean of the targets, a baseline that every predictor has to beat."""

from __future__ import annotations

import numpy as np

from foretell.predictors.base import Floats, Predictor
from foretell.spaces.base import Rows, Space


class Mean(Predictor):
    """Predicts the mean of the targets, and their standard deviation, for every row.

    Args:
        space: the space whose rows it sees.
        random_state: not used; there for the common contract.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> Mean(space).fit(space.sample(2, rng=0), [1.0, 3.0]).predict(space.sample(3, rng=1))
    array([2., 2., 2.])
    """

    has_std = True

    def __init__(self, space: Space, random_state: int | None = None) -> None:
        self.space = space
        self.random_state = random_state

    def _fit(self, X: Rows, y: Floats, rng: np.random.Generator) -> None:
        self.mean_, self.std_ = float(y.mean()), float(y.std())

    def _predict(self, X: Rows) -> tuple[Floats, Floats | None]:
        return np.full(len(X), self.mean_), np.full(len(X), self.std_)
