"""Feed-forward networks."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import loguniform
from sklearn.ensemble import BaggingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from foretell.predictors._features import Encodings, OnFeatures
from foretell.predictors._targets import Target
from foretell.predictors.base import Floats
from foretell.spaces.base import Space


class MLP(OnFeatures):
    """A small ensemble of ReLU networks; they differ by their initial weights alone.

        f(x) = w . relu(W_2 relu(W_1 x + b_1) + b_2) + b,   loss  sum_i (f(x_i) - y_i)^2 / 2n
        + alpha / 2n |weights|^2, minimised by L-BFGS

    Mean and standard deviation are those of the members.

    Args:
        space: the space whose rows it sees.
        widths: units of each hidden layer.
        alpha: weight decay.
        members: how many networks, at least 1.
        iterations: most L-BFGS steps.
        encoding: a name of the catalog, an `Encoding`, or a tuple of them side by side.
        target: "rank" to learn ranks of the targets, "value" to learn standardised values.
        random_state: non-negative seed, or None for fresh entropy.

    References: White et al. 2021, How Powerful are Performance Predictors in NAS?
    Differs: the study (NASLib) has one network of 20 layers of 20 units on adjacency one-hot
    values, absolute error, 500 epochs of Adam with batches of 32.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(100, rng=0)
    >>> model = MLP(space, random_state=0).fit(X, (X == 3).sum(axis=1))
    >>> mean, std = model.predict([[0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]], return_std=True)
    >>> bool(mean[1] > mean[0] + 2)
    True
    """

    has_std = True
    ranges: ClassVar = {
        "widths": [(32, 32), (64, 64), (128, 128), (32, 32, 32), (64, 64, 64)],
        "alpha": loguniform(0.03, 10.0),
        "target": ["rank", "value"],
    }

    def __init__(
        self,
        space: Space,
        widths: tuple[int, ...] = (64, 64),
        alpha: float = 1.0,
        members: int = 5,
        iterations: int = 200,
        encoding: Encodings = ("graph-stats", "one-hot"),
        target: Target = "rank",
        random_state: int | None = None,
    ) -> None:
        self.space = space
        self.widths = widths
        self.alpha = alpha
        self.members = members
        self.iterations = iterations
        self.encoding = encoding
        self.target = target
        self.random_state = random_state

    def _make(self, seed: int) -> Any:
        network = MLPRegressor(
            hidden_layer_sizes=self.widths,
            solver="lbfgs",
            alpha=self.alpha,
            max_iter=self.iterations,
        )
        return _Quiet(network, self.members, bootstrap=False, random_state=seed)

    def _score(self, model: Any, F: NDArray[np.float32]) -> tuple[Floats, Floats | None]:
        members = np.stack([one.predict(F) for one in model.estimators_]).astype(np.float64)
        return members.mean(axis=0), members.std(axis=0)


class _Quiet(BaggingRegressor):  # type: ignore[misc]
    """Members with different seeds; stopping at the last iteration is no news."""

    def fit(self, X: Any, y: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return super().fit(X, y)
