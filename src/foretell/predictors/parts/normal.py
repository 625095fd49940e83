"""The normal distribution of NGBoost without an object of scipy for each step of its line search.

Needs the extra "trees".
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ngboost.distns.distn import RegressionDistn
from ngboost.distns.normal import Normal, NormalLogScore
from ngboost.scores import LogScore
from scipy.stats import norm

from foretell.predictors.base import Floats

_HALF_LOG_2_PI = 0.5 * np.log(2.0 * np.pi)


class QuickLogScore(NormalLogScore, LogScore):  # type: ignore[misc]  # NGBoost has no types
    """-log N(y; loc, scale), and its natural gradient in (loc, log scale), in closed form.

    The Fisher information is diag(1 / scale^2, 2), so no systems have to be solved.
    """

    def score(self, Y: Floats) -> Floats:
        """Shapes: (n,) to (n,)."""
        z = (Y - self.loc) / self.scale
        found: Floats = 0.5 * z**2 + _HALF_LOG_2_PI + np.log(self.scale)
        return found

    def grad(self, Y: Floats, natural: bool = True) -> Floats:
        """Shapes: (n,) to (n, 2)."""
        found: Floats = self.d_score(Y)
        return found * np.column_stack([self.var, np.full(len(found), 0.5)]) if natural else found


class QuickNormal(Normal):  # type: ignore[misc]  # NGBoost has no types
    """Normal(loc, exp(log scale)); scipy's distribution only when it is asked for.

    References: Duan et al. 2020, NGBoost: Natural Gradient Boosting, section 2.

    >>> params = np.array([[0.0, 1.0], [0.0, 0.5]])
    >>> bool(np.allclose(QuickNormal(params).logpdf([1.0, 2.0]), Normal(params).logpdf([1.0, 2.0])))
    True
    """

    scores = (QuickLogScore,)

    def __init__(self, params: Floats) -> None:
        RegressionDistn.__init__(self, params)
        self.loc, self.scale = params[0], np.exp(params[1])
        self.var = self.scale**2

    @property
    def dist(self) -> Any:
        """The frozen distribution."""
        return norm(loc=self.loc, scale=self.scale)
