"""The flops of a forward pass, a baseline that every predictor has to beat."""

from __future__ import annotations

from foretell.predictors.parts.by_size import BySize


class NFlops(BySize):
    """The floating-point operations of one forward pass, as `BySize` on log(1 + flops).

    References: Ning et al. 2021, Evaluating efficient performance estimators of neural
    architectures.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> low, high = NFlops(space).fit([[0] * 6], [0.5]).predict([[0] * 6, [3] * 6])
    >>> bool(high > low)
    True
    """

    _column = 1
