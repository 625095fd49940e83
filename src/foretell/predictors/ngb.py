"""Natural gradient boosting: trees that predict a distribution."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import loguniform, uniform

from foretell.predictors.base import Floats
from foretell.predictors.parts.features import FEATURES, Encodings, FeatureRegressor
from foretell.predictors.parts.targets import Target
from foretell.spaces.base import Rows, Space

_WIDEST = 10.0  # predicted deviation, in those of the targets


class NGB(FeatureRegressor):
    """Boosted trees for mean and standard deviation of a normal distribution.

        theta_k(x) = theta_{k-1}(x) - rate * tree_k(x),    theta = (mean, log std),

    where tree_k fits the natural gradient of -log N(y; theta). A deviation is at most 10 times that
    of the targets: deep trees on few rows know no bound.

    Args:
        space: the space whose rows it sees.
        trees: number of boosting rounds.
        rate: shrinkage of each round, in (0, 1].
        depth: largest depth of a tree.
        max_features: share of the features that a round sees, in (0, 1].
        subsample: share of the training rows that a round sees, in (0, 1].
        encoding: a name of the catalog, an `Encoding`, or a tuple of them side by side.
        target: "rank" to learn ranks of the targets, "value" to learn standardised values.
        random_state: non-negative seed, or None for fresh entropy.

    References: Duan et al. 2020, NGBoost; White et al. 2021, How Powerful are Performance
    Predictors in NAS?
    Differs: the study (NASLib) has 505 rounds, rate 0.081, depth 6, max_features 0.79, subsample
    0.5, on adjacency one-hot values: `NGB.paper(space)`.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(100, rng=0)
    >>> model = NGB(space, trees=50, random_state=0).fit(X, (X == 3).sum(axis=1))
    >>> mean, std = model.predict([[0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]], return_std=True)
    >>> bool(mean[1] > mean[0] + 2), bool((std > 0).all())
    (True, True)
    """

    has_std = True
    ranges: ClassVar = {
        "trees": [128, 200, 300, 512],
        "rate": loguniform(0.01, 0.1),
        "depth": [2, 3, 4, 6, 8],
        "max_features": uniform(0.2, 0.8),
    }

    def __init__(
        self,
        space: Space,
        trees: int = 200,
        rate: float = 0.05,
        depth: int = 4,
        max_features: float = 0.5,
        subsample: float = 0.5,
        encoding: Encodings = FEATURES,
        target: Target = "rank",
        random_state: int | None = None,
    ) -> None:
        self.space = space
        self.trees = trees
        self.rate = rate
        self.depth = depth
        self.max_features = max_features
        self.subsample = subsample
        self.encoding = encoding
        self.target = target
        self.random_state = random_state

    @classmethod
    def paper(cls, space: Space, random_state: int | None = None, **changes: Any) -> NGB:
        """The settings of the study (NASLib)."""
        settings: dict[str, Any] = {
            "trees": 505,
            "rate": 0.0812705,
            "depth": 6,
            "max_features": 0.79205,
            "encoding": "adjacency-one-hot",
            "target": "value",
        }
        return cls(space, random_state=random_state, **{**settings, **changes})

    def _make(self, seed: int) -> Any:
        from ngboost import NGBRegressor
        from sklearn.tree import DecisionTreeRegressor

        from foretell.predictors.parts.normal import QuickNormal

        return NGBRegressor(
            Dist=QuickNormal,
            Base=DecisionTreeRegressor(max_depth=self.depth, random_state=seed),
            n_estimators=self.trees,
            learning_rate=self.rate,
            minibatch_frac=self.subsample,
            col_sample=self.max_features,
            random_state=seed,
            verbose=False,
        )

    def _fit(self, X: Rows, y: Floats, rng: np.random.Generator) -> None:
        with np.errstate(over="ignore"):  # deep trees on few rows drive some deviations that far
            super()._fit(X, y, rng)

    def _score(self, model: Any, F: NDArray[np.float32]) -> tuple[Floats, Floats | None]:
        normal = model.pred_dist(F)
        return normal.loc, np.minimum(normal.scale, _WIDEST)
