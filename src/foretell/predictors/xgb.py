"""Gradient-boosted trees: XGBoost."""

from __future__ import annotations

from typing import Any, ClassVar

from scipy.stats import loguniform, uniform

from foretell.predictors.parts.features import FEATURES, Encodings, FeatureRegressor
from foretell.predictors.parts.targets import Target
from foretell.spaces.base import Space


class XGB(FeatureRegressor):
    """Boosted regression trees; squared error on the learnt scale.

        f_k = f_{k-1} + rate * argmin_tree sum_i (y_i - f_{k-1}(x_i) - tree(x_i))^2 + penalty(tree)

    Args:
        space: the space whose rows it sees.
        trees: number of boosting rounds.
        rate: shrinkage of each tree, in (0, 1].
        depth: largest depth of a tree.
        subsample: share of the training rows that a tree sees, in (0, 1].
        max_features: share of the features that a tree sees, in (0, 1].
        encoding: a name of the catalog, an `Encoding`, or a tuple of them side by side.
        target: "rank" to learn ranks of the targets, "value" to learn standardised values.
        random_state: non-negative seed, or None for fresh entropy.

    References: Chen & Guestrin 2016; White et al. 2021, How Powerful are Performance Predictors
    in NAS?
    Differs: the study (NASLib) has 500 rounds, rate 0.3, depth 6, no subsampling, on adjacency
    one-hot values: `XGB.paper(space)`.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(100, rng=0)
    >>> model = XGB(space, random_state=0).fit(X, (X == 3).sum(axis=1))
    >>> low, high = model.predict([[0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]])
    >>> bool(high > low + 2)
    True
    """

    ranges: ClassVar = {
        "trees": [100, 200, 300, 500],
        "rate": loguniform(0.01, 0.3),
        "depth": [2, 3, 4, 6, 8],
        "subsample": uniform(0.5, 0.5),
        "max_features": uniform(0.1, 0.9),
    }

    def __init__(
        self,
        space: Space,
        trees: int = 200,
        rate: float = 0.07,
        depth: int = 3,
        subsample: float = 0.7,
        max_features: float = 0.2,
        encoding: Encodings = FEATURES,
        target: Target = "rank",
        random_state: int | None = None,
    ) -> None:
        self.space = space
        self.trees = trees
        self.rate = rate
        self.depth = depth
        self.subsample = subsample
        self.max_features = max_features
        self.encoding = encoding
        self.target = target
        self.random_state = random_state

    @classmethod
    def paper(cls, space: Space, random_state: int | None = None, **changes: Any) -> XGB:
        """The settings of the study (NASLib)."""
        settings: dict[str, Any] = {
            "trees": 500,
            "rate": 0.3,
            "depth": 6,
            "subsample": 1.0,
            "max_features": 1.0,
            "encoding": "adjacency-one-hot",
            "target": "value",
        }
        return cls(space, random_state=random_state, **{**settings, **changes})

    def _make(self, seed: int) -> Any:
        from xgboost import XGBRegressor

        return XGBRegressor(
            n_estimators=self.trees,
            learning_rate=self.rate,
            max_depth=self.depth,
            subsample=self.subsample,
            colsample_bytree=self.max_features,
            tree_method="hist",
            n_jobs=1,
            random_state=seed,
        )
