"""What is known before any training: sizes, amounts, depth, with signs that results bear out."""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from foretell.encodings.numbers import magnitude, plan
from foretell.encodings.size import Size
from foretell.errors import SpaceError
from foretell.evidence import Evidence, evidence_of
from foretell.predictors.base import Floats, Predictor
from foretell.predictors.parts.features import resolve
from foretell.predictors.parts.targets import Scale
from foretell.spaces.base import Rows, Space

_WEIGHT, _SPREAD = 0.35, 0.3  # of the prior of all weights together, and of each
_DEPTH = 0.3  # of depth, beside 1 of each other
_NOISE = 0.8  # variance of the targets' ranks around them
_DRAWN = 512  # rows of the space that say what is large
_BLOCK = 16_384


class Prior(Predictor):
    """Bayesian regression of ranks on what is known before training: more is expected to be better.

        t = w . z(x) + e,    w_k ~ N(0.35 m_k / |m|, 0.3^2),    e ~ N(0, 0.8)

    with z the known numbers, standardised over rows drawn of the space: log(1 + parameters) and
    log(1 + flops) where they can be had, the product of the space's numbers where it has some
    (`foretell.encodings.numbers.magnitude`), and the longest path of the graph view (m is 1, and
    0.3 for this one); and each answer of `evidence`, of which nothing is expected. Without results
    the mean of the prior ranks; results turn round what they contradict. So a search with a handful
    of results is not led by what chance says of single decisions.

    Args:
        space: the space whose rows it sees.
        evidence: an `Evidence` or several (`foretell.evidence`).
        random_state: not used; there for the common contract.

    Attributes:
        known_: names of the numbers z.
        weights_: posterior mean of w.

    References: Bishop 2006, Pattern Recognition and Machine Learning, section 3.3; Ning et al.
    2021, Evaluating efficient performance estimators of neural architectures (sizes).

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> low, high = Prior(space).fit([[0] * 6], [0.5]).predict([[0] * 6, [3] * 6])
    >>> bool(high > low)
    True
    """

    has_std = True

    def __init__(
        self,
        space: Space,
        evidence: Evidence | tuple[Evidence, ...] = (),
        random_state: int | None = None,
    ) -> None:
        self.space = space
        self.evidence = evidence
        self.random_state = random_state

    def _fit(self, X: Rows, y: Floats, rng: np.random.Generator) -> None:
        given = tuple(evidence_of(self.evidence))
        self.evidence_ = resolve(given, self.space, X) if given else []
        self.sized_ = True
        try:
            Size(self.space).encode(X[:1])
        except SpaceError:
            self.sized_ = False
        self.known_ = (
            *(("parameters", "flops") if self.sized_ else ()),
            *(("numbers",) if plan(self.space).names else ()),
            "depth",
        )
        drawn = self._free(self.space.sample(_DRAWN, 0))
        Z, rows = self._free(X), self._paid(X)
        self.centre_ = np.concatenate([drawn.mean(axis=0), rows.mean(axis=0)])
        spread = np.concatenate([drawn.std(axis=0), rows.std(axis=0)])
        self.over_ = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 1e-9)
        Z = (np.concatenate([Z, rows], axis=1) - self.centre_) * self.over_
        mean = np.zeros(Z.shape[1])
        mean[: drawn.shape[1]] = (self.over_ > 0)[: drawn.shape[1]]
        mean[drawn.shape[1] - 1] *= _DEPTH
        mean *= _WEIGHT / max(float(np.linalg.norm(mean)), 1e-9)
        self.scale_ = Scale.of(y, "rank")
        precision = np.eye(len(mean)) / _SPREAD**2 + Z.T @ Z / _NOISE
        self.factor_ = cho_factor(precision)
        right = mean / _SPREAD**2 + Z.T @ self.scale_.score(y) / _NOISE
        self.weights_ = cho_solve(self.factor_, right)

    def _free(self, X: Rows) -> Floats:
        """What costs nothing to know, (n, k)."""
        columns = []
        if self.sized_:
            columns.append(Size(self.space).encode(X).astype(np.float64))
        if plan(self.space).names:
            columns.append(magnitude(self.space, X)[:, None])
        columns.append(np.concatenate([np.zeros((0, 1)), *self._depths(X)]))
        return np.concatenate(columns, axis=1)

    def _depths(self, X: Rows) -> list[Floats]:
        """The longest path from input to output, in inner vertices, in blocks of (n, 1)."""
        found = []
        for i in range(0, len(X), _BLOCK):
            ops, adjacency = self.space.graphs(X[i : i + _BLOCK])
            longest = np.zeros(ops.shape)
            for j in range(1, ops.shape[1]):
                before = np.where(adjacency[:, :j, j], longest[:, :j] + 1.0, 0.0)
                longest[:, j] = before.max(axis=1)
            found.append(longest[:, -1:])
        return found

    def _paid(self, X: Rows) -> Floats:
        """The answers of evidence, (n, k)."""
        parts = [np.asarray(one.encode(X), dtype=np.float64) for one in self.evidence_]
        return np.concatenate([np.zeros((len(X), 0)), *parts], axis=1)

    def _predict(self, X: Rows) -> tuple[Floats, Floats | None]:
        Z = np.concatenate([self._free(X), self._paid(X)], axis=1)
        Z = (Z - self.centre_) * self.over_
        variance = np.einsum("ij,ji->i", Z, cho_solve(self.factor_, Z.T)) + _NOISE
        score = Z @ self.weights_
        return self.scale_.value(score), self.scale_.spread(score, np.sqrt(variance))
