"""Gaussian process with the Weisfeiler-Lehman graph kernel."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from foretell.errors import SettingError
from foretell.graphs import hashing
from foretell.graphs.refinement import labels
from foretell.predictors.base import Floats
from foretell.predictors.parts.distances import Amounts, Metric, kernel_parts
from foretell.predictors.parts.exact import Exact
from foretell.predictors.parts.features import COUNTED, Encodings, resolve
from foretell.predictors.parts.kernels import Kernel
from foretell.predictors.parts.targets import Target
from foretell.spaces.base import Rows, Space


class GPWL(Exact):
    """NAS-BOWL: graphs are alike as far as their Weisfeiler-Lehman labels can be matched.

    After h steps of refinement (see the encoding `canonical`) the label of a vertex names its
    neighbourhood of radius h. The optimal assignment kernel counts how many vertices of two graphs
    can be paired with equal labels,

        k_h(x, x') = sum_l min(#_l(x), #_l(x')) / sqrt(|x| |x'|),    d_h^2 = 2 - 2 k_h,

    and the process has the covariance s^2 f(sum_{h <= H} d_h^2 / l_h^2 + d_e^2 / l_e^2), with
    the distance d_e of an encoding beside it. The number of iterations H and all scales maximise
    the marginal likelihood, so labels that say nothing are left out. Fitting costs O(n^3).

    Args:
        space: the space whose rows it sees.
        iterations: largest H that is tried, at least 0.
        cumulative: one kernel, sum_{h <= H} of the counts before the root is taken, instead of one
            length scale for each h.
        kernel: f: "matern", "rbf", "exponential", or "linear", the graph kernel itself.
        encoding: features of the whole graph beside it (a name of the catalog, an `Encoding`, or a
            tuple of them); None for none.
        target: "rank" to learn ranks of the targets, "value" to learn standardised values.
        max_rows: most training rows.
        random_state: non-negative seed, or None for fresh entropy.

    References: Ru et al. 2021, Interpretable Neural Architecture Search via Bayesian Optimisation
    with Weisfeiler-Lehman Kernels; Kriege et al. 2016, On Valid Optimal Assignment Kernels.
    Differs: the paper has the graph kernel alone, and logarithms of the error as targets:
    `GPWL.paper(space)`, with standardised targets. Edges have directions here.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(60, rng=0)
    >>> model = GPWL(space, random_state=0).fit(X, (X == 3).sum(axis=1))
    >>> mean, std = model.predict([[4, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]], return_std=True)
    >>> bool(mean[1] > mean[0] + 2), bool((std > 0).all())
    (True, True)
    """

    ranges: ClassVar = {
        "iterations": [1, 2, 3],
        "kernel": ["matern", "rbf", "exponential"],
        "encoding": ["graph-stats", COUNTED],
        "target": ["rank", "value"],
    }

    def __init__(
        self,
        space: Space,
        iterations: int = 3,
        cumulative: bool = False,
        kernel: Kernel = "matern",
        encoding: Encodings | None = COUNTED,
        target: Target = "rank",
        max_rows: int = 2000,
        random_state: int | None = None,
    ) -> None:
        self.space = space
        self.iterations = iterations
        self.cumulative = cumulative
        self.kernel = kernel
        self.encoding = encoding
        self.target = target
        self.max_rows = max_rows
        self.random_state = random_state

    @classmethod
    def paper(cls, space: Space, random_state: int | None = None, **changes: Any) -> GPWL:
        """The settings of the paper: the graph kernel alone, on standardised targets."""
        settings: dict[str, Any] = {
            "cumulative": True,
            "kernel": "linear",
            "encoding": None,
            "target": "value",
        }
        return cls(space, random_state=random_state, **{**settings, **changes})

    def _kernels(self, X: Rows) -> list[list[Metric | Amounts]]:
        if self.iterations < 0:
            raise SettingError("iterations", expected="at least 0", got=self.iterations)
        beside = [] if self.encoding is None else resolve(self.encoding, self.space, X)
        graphs = WeisfeilerLehman(self.space, X, self.iterations, self.cumulative)
        return [[graphs, *kernel_parts(beside, X)]]

    def _subsets(self, count: int) -> Iterable[tuple[int, ...]]:
        beside = tuple(range(self.iterations + 1, count))
        for h in range(self.iterations + 1):
            yield ((h,) if self.cumulative else tuple(range(h + 1))) + beside


class WeisfeilerLehman:
    """The distances d_0 ... d_H of `GPWL` to training rows.

    min(a, b) = sum_{k >= 1} [a >= k] [b >= k]: with one bit for each label and copy of it, the
    pairs of vertices are a product of two sparse matrices.
    """

    def __init__(self, space: Space, X: Rows, iterations: int, cumulative: bool = False) -> None:
        self.space = space
        self.iterations = iterations
        self.cumulative = cumulative
        found = self._copies(X)
        self.known = [np.unique(copies) for copies in found]
        self.bits = [self._bits(*pair) for pair in zip(found, self.known, strict=True)]
        self.vertices = (found[0] > 0).sum(axis=1)

    def squares(self, X: Rows | None = None) -> list[Floats]:
        """Squared distances (n, m) for each h; see `Metric`."""
        if X is None:
            bits, vertices = self.bits, self.vertices
        else:
            found = self._copies(X)
            bits = [self._bits(*pair) for pair in zip(found, self.known, strict=True)]
            vertices = (found[0] > 0).sum(axis=1)
        paired = [(a @ b.T).toarray() for a, b in zip(bits, self.bits, strict=True)]
        size = np.sqrt(np.outer(vertices, self.vertices))
        if self.cumulative:
            sums = np.cumsum(paired, axis=0)
            return [np.maximum(2.0 - 2.0 * k / (size * (h + 1)), 0.0) for h, k in enumerate(sums)]
        return [np.maximum(2.0 - 2.0 * k / size, 0.0) for k in paired]

    def _copies(self, X: Rows) -> list[NDArray[np.uint64]]:
        """For each h the labels (n, v), numbered where a graph has one of them several times."""
        return [_numbered(level) for level in labels(self.space.graphs(X), self.iterations)]

    def _bits(self, copies: NDArray[np.uint64], known: NDArray[np.uint64]) -> csr_array:
        row, column = np.nonzero(copies)
        key = copies[row, column]
        at = np.minimum(np.searchsorted(known, key), len(known) - 1)
        seen = known[at] == key
        shape = (len(copies), len(known))
        return csr_array((np.ones(seen.sum()), (row[seen], at[seen])), shape=shape)


def _numbered(level: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Labels (n, v), 0 for none, to hashes of (label, which copy of it in its row)."""
    ordered = np.sort(level, axis=1)
    copy = np.zeros_like(ordered)
    for j in range(1, ordered.shape[1]):
        copy[:, j] = np.where(ordered[:, j] == ordered[:, j - 1], copy[:, j - 1] + np.uint64(1), 0)
    return np.where(ordered > 0, hashing.combine(ordered, copy), np.uint64(0))
