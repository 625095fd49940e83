"""The number of parameters, a baseline that every predictor has to beat."""

from __future__ import annotations

from foretell.predictors.parts.by_size import BySize


class NParams(BySize):
    """The number of trainable parameters, as `BySize` on log(1 + parameters).

    References: Ning et al. 2021, Evaluating efficient performance estimators of neural
    architectures; White et al. 2022, A deeper look at zero-cost proxies.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> low, high = NParams(space).fit([[0] * 6], [0.5]).predict([[0] * 6, [3] * 6])
    >>> bool(high > low)
    True
    """

    _column = 0
