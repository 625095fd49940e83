"""Any regressor of scikit-learn on any encodings and evidence."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from foretell._rng import own_global
from foretell.predictors.base import Floats, seeded
from foretell.predictors.parts.features import FEATURES, Encodings, FeatureRegressor
from foretell.predictors.parts.predicted import has_std
from foretell.predictors.parts.targets import Target
from foretell.spaces.base import Rows, Space


class OnFeatures(FeatureRegressor):
    """A regressor on the features of encodings and evidence, standardised on the training rows.

    So a hybrid is an expression: LcSVR is an SVR on the start of a learning curve, OMNI is NGBoost
    on a path encoding, a zero-cost score and a curve. It has an uncertainty if the regressor has
    one (`foretell.predictors.predicted`). Where an evidence has no answer, its mean over the
    training rows takes its place. Without evidence, for `screen`, it is the same regressor on the
    encodings that are left.

    Args:
        space: the space whose rows it sees.
        regressor: unfitted; it is cloned, and seeded wherever it has a `random_state`.
        encoding: a name of the catalog, an `Encoding`, an `Evidence`, or a tuple of them side by
            side; evidence without a space has this one.
        target: "rank" to learn ranks of the targets, "value" to learn standardised values;
            predictions are on the scale of the targets with both.
        random_state: non-negative seed, or None for fresh entropy.

    References: White et al., How Powerful are Performance Predictors in Neural Architecture
    Search?, NeurIPS 2021 (OMNI); Baker et al. 2017 (LcSVR).

    >>> import foretell as ft
    >>> from sklearn.linear_model import BayesianRidge
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(60, rng=0)
    >>> model = OnFeatures(space, BayesianRidge(), encoding=("path", "one-hot"), random_state=0)
    >>> mean, std = model.fit(X, (X == 3).sum(axis=1)).predict(
    ...     [[0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]], return_std=True)
    >>> bool(mean[1] > mean[0]), std.shape
    (True, (2,))
    """

    def __init__(
        self,
        space: Space,
        regressor: Any,
        encoding: Encodings = FEATURES,
        target: Target = "rank",
        random_state: int | None = None,
    ) -> None:
        self.space = space
        self.regressor = regressor
        self.encoding = encoding
        self.target = target
        self.random_state = random_state

    @property
    def has_std(self) -> bool:  # type: ignore[override]  # that of the regressor
        """Whether the regressor has an uncertainty."""
        return has_std(self.regressor)

    def _fit(self, X: Rows, y: Floats, rng: np.random.Generator) -> None:
        with own_global(int(rng.integers(2**31))):
            super()._fit(X, y, rng)

    def _make(self, seed: int) -> Any:
        double = FunctionTransformer(np.asarray, kw_args={"dtype": np.float64})
        return make_pipeline(double, StandardScaler(), seeded(self.regressor, seed))
