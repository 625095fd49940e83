"""Gaussian process on encodings, with one length scale for each encoding, and means of such."""

from __future__ import annotations

from typing import Any, ClassVar

from foretell.predictors.parts.distances import SPREAD, Amounts, Metric, kernel_parts
from foretell.predictors.parts.exact import Chosen, Exact
from foretell.predictors.parts.features import FEATURES, FLOWS, Several, apart
from foretell.predictors.parts.kernels import Kernel
from foretell.spaces.base import Rows, Space


class GP(Exact):
    """Exact Gaussian process with a Matern-3/2 kernel over several encodings.

        k(x, x') = s^2 (1 + r) exp(-r),    r^2 = 3 sum_g |phi_g(x) - phi_g(x')|^2 / (f_g l_g^2),

    where phi_g are the f_g standardised features of encoding g (or exp(-r^2 / 6) with "rbf"). The
    length scales l_g, s and the noise maximise the marginal likelihood times a log-normal prior, so
    an encoding that says nothing is switched off by a long length scale. Where `encoding` has
    several sets, each has such a kernel, learnt alone, and the process has their mean, a sum of
    functions of one set each: by default of what is counted and, in spaces that say how signals
    meet (`Space.wiring`), of what they have passed. Evidence is told by its place among the
    training rows, and is linear too. Fitting costs O(n^3); where more than `max_rows` rows come, a
    random part of them is used.

    Args:
        space: the space whose rows it sees.
        encoding: a name of the catalog, an `Encoding`, or a tuple of them, one length scale each;
            or several such tuples in a tuple, a kernel each, with what stands beside them.
        kernel: "matern", "rbf", or "exponential" (Matern-1/2).
        target: "rank" to learn ranks of the targets, "value" to learn standardised values,
            "between" to learn the mean of both, "chosen" for that of the three with which left-out
            rows are foretold best.
        max_rows: most training rows.
        spread: standard deviation of the prior of the logarithms of l_g, s^2 and the noise, above
            0: wider where single numbers are the encodings, and the function may be steep in one.
        random_state: non-negative seed, or None for fresh entropy.

    References: Rasmussen & Williams 2006, equations 2.25, 2.26, 5.9; White et al. 2021, How
    Powerful are Performance Predictors in NAS?
    Differs: the study's GP has one RBF kernel on adjacency one-hot values, and accuracies as
    targets: `GP.paper(space)`.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(50, rng=0)
    >>> model = GP(space, random_state=0).fit(X, (X == 3).sum(axis=1))
    >>> mean, std = model.predict([[0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]], return_std=True)
    >>> bool(mean[1] > mean[0] + 2), bool((std > 0).all())
    (True, True)
    """

    ranges: ClassVar = {
        "kernel": ["matern", "rbf", "exponential"],
        "encoding": [(FEATURES, FLOWS), FEATURES, ("graph-stats", "canonical"), "graph-stats"],
        "target": ["chosen", "rank", "value"],
    }

    def __init__(
        self,
        space: Space,
        encoding: Several = (FEATURES, FLOWS),
        kernel: Kernel = "matern",
        target: Chosen = "chosen",
        max_rows: int = 2000,
        spread: float = SPREAD,
        random_state: int | None = None,
    ) -> None:
        self.space = space
        self.encoding = encoding
        self.kernel = kernel
        self.target = target
        self.max_rows = max_rows
        self.spread = spread
        self.random_state = random_state

    @classmethod
    def paper(cls, space: Space, random_state: int | None = None, **changes: Any) -> GP:
        """The settings of the study (NASLib)."""
        settings = {"encoding": "adjacency-one-hot", "kernel": "rbf", "target": "value"}
        return cls(space, random_state=random_state, **{**settings, **changes})

    def _kernels(self, X: Rows) -> list[list[Metric | Amounts]]:
        return [kernel_parts(one, X) for one in apart(self.encoding, self.space, X)]
