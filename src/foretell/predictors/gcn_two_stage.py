"""The Neural Predictor in two stages: a classifier rejects, a regressor ranks the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from foretell._rng import derive
from foretell.errors import SettingError
from foretell.predictors.base import Floats, Predictor, inside, settings_of
from foretell.predictors.gcn import GCN
from foretell.spaces.base import Rows, Space


class TwoStageGCN(Predictor):
    """A graph network that accepts or rejects, and one that is trained on the accepted rows.

    A few broken networks dominate a squared error. So a classifier with logits c(x), trained by
    binary cross-entropy, learns whether y >= t; a regressor f learns from the rows with y >= t
    alone. Where c(x) > 0 the prediction is f(x), squeezed to stay above l = t - m; elsewhere it
    is l - 2 m |c(x)| / (1 + |c(x)|), so what is rejected ranks last; m is half the distance from
    t to the mean of the rejected training rows. Where fewer than two training rows are on either
    side of t there is one stage. It has no uncertainty: a classifier that sees all rows does not
    tell how often it errs on others.

    Args:
        space: the space whose rows it sees.
        threshold: t, in units of y; None for the split of the targets in two classes with the
            largest variance between them (Otsu 1979).
        settings: of `GCN` (both stages; the loss is that of the regressor), where not its
            defaults.
        random_state: non-negative seed, or None for fresh entropy.

    Attributes:
        threshold_: t, or None where there is one stage.

    References: Wen et al. 2020, Neural Predictor for Neural Architecture Search, section 3.2.
    Differs: the paper reads t off the histogram of the accuracies (91 % on NAS-Bench-101).

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(60, rng=0)
    >>> y = np.where((X == 3).any(axis=1), 90.0 + (X == 3).sum(axis=1), 10.0)
    >>> model = TwoStageGCN(space, random_state=0).fit(X, y)
    >>> broken, good = model.predict([[2, 2, 2, 2, 2, 2], [3, 3, 3, 3, 3, 3]])
    >>> model.threshold_, bool(broken < 60), bool(good > 92)
    (91.0, True, True)
    """

    without_std = "its classifier leaves no rows out on which to measure one; `gcn` has one"
    ranges: ClassVar = {
        "settings": [
            {"hidden": hidden, "lr": lr, "weight_decay": decay}
            for hidden in (16, 32, 64)
            for lr in (3e-3, 1e-2, 3e-2)
            for decay in (1e-3, 1e-2, 1e-1)
        ]
    }

    def __init__(
        self,
        space: Space,
        threshold: float | None = None,
        settings: Mapping[str, Any] | None = None,
        random_state: int | None = None,
    ) -> None:
        self.space = space
        self.threshold = threshold
        self.settings = settings
        self.random_state = random_state

    @classmethod
    def paper(cls, space: Space, random_state: int | None = None, **changes: Any) -> TwoStageGCN:
        """Both stages with the settings of the paper; the threshold depends on the table."""
        settings: dict[str, Any] = {"settings": settings_of(GCN.paper(space))}
        return cls(space, random_state=random_state, **{**settings, **changes})

    def _fit(self, X: Rows, y: Floats, rng: np.random.Generator) -> None:
        if (self.settings or {}).get("loss") == "bce":
            raise SettingError("settings", expected="a loss of the regressor", got="'bce'")
        threshold = _otsu(y) if self.threshold is None else self.threshold
        good = y >= threshold
        self.threshold_ = float(threshold) if min(good.sum(), (~good).sum()) > 1 else None
        first, second = (derive(int(rng.integers(2**31)), k) for k in ("classify", "regress"))
        regressor = inside(GCN, self.space, self.settings, random_state=second)
        if self.threshold_ is None:
            self.regressor_ = regressor.fit(X, y)
            return
        classifier = inside(GCN, self.space, self.settings, random_state=first, loss="bce")
        self.classifier_ = classifier.fit(X, good.astype(np.float64))
        self.regressor_ = regressor.fit(X[good], y[good])
        self.margin_ = float(self.threshold_ - y[~good].mean()) / 2

    def _predict(self, X: Rows) -> tuple[Floats, Floats | None]:
        mean = self.regressor_.predict(X)
        if self.threshold_ is None:
            return mean, None
        logit, margin = self.classifier_.predict(X), self.margin_
        under = np.minimum(mean - self.threshold_, 0.0)
        squeezed = self.threshold_ + margin * np.expm1(under / margin)
        mean = np.where(mean < self.threshold_, squeezed, mean)
        rejected = self.threshold_ - margin * (1 + 2 * np.abs(logit) / (1 + np.abs(logit)))
        return np.where(logit > 0, mean, rejected), None


def _otsu(y: Floats) -> float:
    """The smallest value of the upper of two classes with the largest variance between them.

    >>> _otsu(np.array([10.0, 11.0, 90.0, 91.0, 92.0]))
    90.0
    """
    ordered = np.sort(y)
    low = np.arange(1, len(y))  # size of the lower class
    between = np.zeros(len(y))
    sums = np.cumsum(ordered)[:-1]
    between[1:] = (sums - low * y.mean()) ** 2 / (low * (len(y) - low))
    between[1:][np.diff(ordered) == 0] = 0.0
    return float(ordered[np.argmax(between)])
