"""Gradient-boosted trees: LightGBM."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import loguniform, uniform

from foretell.predictors.base import Floats
from foretell.predictors.parts.features import FEATURES, Encodings, FeatureRegressor
from foretell.predictors.parts.targets import Target
from foretell.spaces.base import Space


class LGB(FeatureRegressor):
    """Boosted regression trees that grow leaf by leaf; squared error on the learnt scale.

        f_k = f_{k-1} + rate * argmin_tree sum_i (y_i - f_{k-1}(x_i) - tree(x_i))^2,

    where a tree always splits the leaf that gains most, up to `leaves` of them.

    Args:
        space: the space whose rows it sees.
        trees: number of boosting rounds.
        rate: shrinkage of each tree, in (0, 1].
        leaves: most leaves of a tree, at least 2.
        min_leaf: fewest training rows in a leaf.
        subsample: share of the training rows that a tree sees, in (0, 1].
        every: a new share of the rows is drawn every so many rounds, at least 1.
        max_features: share of the features that a tree sees, in (0, 1].
        encoding: a name of the catalog, an `Encoding`, or a tuple of them side by side.
        target: "rank" to learn ranks of the targets, "value" to learn standardised values.
        random_state: non-negative seed, or None for fresh entropy.

    References: Ke et al. 2017, LightGBM; White et al. 2021, How Powerful are Performance
    Predictors in NAS?
    Differs: the study has 500 rounds, 31 leaves and adjacency one-hot values: `LGB.paper(space)`.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(100, rng=0)
    >>> model = LGB(space, random_state=0).fit(X, (X == 3).sum(axis=1))
    >>> low, high = model.predict([[0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]])
    >>> bool(high > low + 2)
    True
    """

    ranges: ClassVar = {
        "trees": [100, 200, 300, 500],
        "rate": loguniform(0.01, 0.2),
        "leaves": [4, 8, 16, 31, 63],
        "min_leaf": [1, 2, 3, 5, 10],
        "max_features": uniform(0.1, 0.9),
    }

    def __init__(
        self,
        space: Space,
        trees: int = 200,
        rate: float = 0.05,
        leaves: int = 16,
        min_leaf: int = 5,
        subsample: float = 0.7,
        every: int = 1,
        max_features: float = 0.2,
        encoding: Encodings = FEATURES,
        target: Target = "rank",
        random_state: int | None = None,
    ) -> None:
        self.space = space
        self.trees = trees
        self.rate = rate
        self.leaves = leaves
        self.min_leaf = min_leaf
        self.subsample = subsample
        self.every = every
        self.max_features = max_features
        self.encoding = encoding
        self.target = target
        self.random_state = random_state

    @classmethod
    def paper(cls, space: Space, random_state: int | None = None, **changes: Any) -> LGB:
        """The settings of the study (NASLib)."""
        settings: dict[str, Any] = {
            "trees": 500,
            "leaves": 31,
            "subsample": 0.8,
            "every": 5,
            "max_features": 0.9,
            "encoding": "adjacency-one-hot",
            "target": "value",
        }
        return cls(space, random_state=random_state, **{**settings, **changes})

    def _make(self, seed: int) -> Any:
        from lightgbm import LGBMRegressor

        return LGBMRegressor(
            n_estimators=self.trees,
            learning_rate=self.rate,
            num_leaves=self.leaves,
            min_child_samples=self.min_leaf,
            subsample=self.subsample,
            subsample_freq=self.every,
            colsample_bytree=self.max_features,
            n_jobs=1,
            random_state=seed,
            deterministic=True,
            force_row_wise=True,
            verbosity=-1,
        )

    def _score(self, model: Any, F: NDArray[np.float32]) -> tuple[Floats, None]:
        # the booster itself: no warning that plain arrays carry no feature names
        return np.asarray(model.booster_.predict(F, num_threads=1), dtype=np.float64), None
