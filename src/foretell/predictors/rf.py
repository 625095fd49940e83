"""Random forest."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import loguniform
from sklearn.ensemble import RandomForestRegressor

from foretell.predictors.base import Floats
from foretell.predictors.parts.features import FEATURES, Encodings, FeatureRegressor
from foretell.predictors.parts.targets import Target
from foretell.spaces.base import Space


class RF(FeatureRegressor):
    """A forest of randomised regression trees; the prediction is their mean.

        mean(x) = 1/T sum_t f_t(x),        std(x)^2 = 1/T sum_t (f_t(x) - mean(x))^2

    Args:
        space: the space whose rows it sees.
        trees: T, at least 1.
        max_features: share of the features tried at a split, in (0, 1].
        min_leaf: fewest training rows in a leaf.
        bootstrap: whether each tree sees its own draw of the rows, with replacement.
        encoding: a name of the catalog, an `Encoding`, or a tuple of them side by side.
        target: "rank" to learn ranks of the targets, "value" to learn standardised values.
        random_state: non-negative seed, or None for fresh entropy.

    References: Breiman 2001; White et al. 2021, How Powerful are Performance Predictors in NAS?
    Differs: the study's forest (NASLib) has 116 trees on adjacency one-hot values, max_features
    0.17, at least 2 rows a leaf and no bootstrap: `RF.paper(space)`.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(100, rng=0)
    >>> model = RF(space, random_state=0).fit(X, (X == 3).sum(axis=1))
    >>> mean, std = model.predict([[0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]], return_std=True)
    >>> bool(mean[1] > mean[0] + 2)
    True
    """

    has_std = True
    ranges: ClassVar = {
        "trees": [50, 100, 200, 400],
        "max_features": loguniform(0.05, 0.9),
        "min_leaf": [1, 2, 3, 5, 10],
        "target": ["rank", "value"],
    }

    def __init__(
        self,
        space: Space,
        trees: int = 60,
        max_features: float = 0.12,
        min_leaf: int = 1,
        bootstrap: bool = True,
        encoding: Encodings = FEATURES,
        target: Target = "rank",
        random_state: int | None = None,
    ) -> None:
        self.space = space
        self.trees = trees
        self.max_features = max_features
        self.min_leaf = min_leaf
        self.bootstrap = bootstrap
        self.encoding = encoding
        self.target = target
        self.random_state = random_state

    @classmethod
    def paper(cls, space: Space, random_state: int | None = None, **changes: Any) -> RF:
        """The settings of the study (NASLib)."""
        settings: dict[str, Any] = {
            "trees": 116,
            "max_features": 0.17056,
            "min_leaf": 2,
            "bootstrap": False,
            "encoding": "adjacency-one-hot",
            "target": "value",
        }
        return cls(space, random_state=random_state, **{**settings, **changes})

    def _make(self, seed: int) -> RandomForestRegressor:
        return RandomForestRegressor(
            self.trees,
            max_features=self.max_features,
            min_samples_leaf=self.min_leaf,
            bootstrap=self.bootstrap,
            random_state=seed,
        )

    def _score(self, model: Any, F: NDArray[np.float32]) -> tuple[Floats, Floats | None]:
        members = np.stack([tree.tree_.predict(F)[:, 0] for tree in model.estimators_])
        return members.mean(axis=0), members.std(axis=0)
