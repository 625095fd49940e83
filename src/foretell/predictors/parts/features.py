"""Predictors that are a regressor on an encoding."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from foretell import encodings
from foretell.encodings import Encoding
from foretell.encodings.numbers import Numbers, plan
from foretell.encodings.options import told
from foretell.encodings.parts.kept import kept
from foretell.errors import SettingError
from foretell.evidence import Evidence
from foretell.evidence.parts.inside import bound
from foretell.predictors.base import Floats, Predictor
from foretell.predictors.parts.calibration import by_folds
from foretell.predictors.parts.predicted import predicted
from foretell.predictors.parts.targets import Scale, Target
from foretell.spaces.base import Rows, Space

Encodings = str | Encoding | tuple[str | Encoding, ...]
Several = Encodings | tuple[str | Encoding | tuple[str | Encoding, ...], ...]  # or some of these
# amounts, then what is counted in the graph, of isomorphic rows alike: beside a network that reads
# the graph
COUNTED = ("numbers", "graph-stats", "edges", "depths")
# and the decisions as they stand: for regressors that have no other view of the row
FEATURES = (*COUNTED, "one-hot")
# what signals have passed: of some spaces it says more, of others less; a kernel beside of these
FLOWS = ("numbers", "flow", "edges")
_BESIDE = 0.3  # least spread of the features of further encodings,
_SHORT = 4.0  # and that of an encoding of a single feature
_WIDEST = 10.0  # predicted deviation, in those of the targets
_FAR = 10.0  # of evidence, in deviations of the training rows: further out all are alike
_SAID = (
    "graph-stats",
    "flow",
    "edges",
    "depths",
    "one-hot",
)  # that numbers and options say as well


def resolve(encoding: Encodings, space: Space, X: Rows, *, by_rank: bool = False) -> list[Encoding]:
    """The encodings of a name, an `Encoding`, or several of them.

    Where "numbers" are among them and the space has some, "options" beside them stand for the bits
    of its decisions and for what is counted in its graph, which is a list of them. Where it has
    none, "numbers" are left out.

    Evidence without a space has this one; a row of which it says nothing is as the mean of the
    training rows X (n, d). `by_rank` tells it by its place among them, see `Ranked`.
    """
    parts = _named(encoding, space)
    found = [encodings.get(one, space) if isinstance(one, str) else one for one in parts]
    if not found or not all(isinstance(one, Encoding) for one in found):
        raise SettingError(
            "encoding", expected="a name, an Encoding, or several", got=repr(encoding)
        )
    placed = Ranked if by_rank else Filled.by_mean
    return [placed(bound(one, space), X) if isinstance(one, Evidence) else one for one in found]


def _named(encoding: Encodings, space: Space) -> list[str | Encoding]:
    """What `resolve` takes."""
    parts = list(encoding) if isinstance(encoding, (tuple, list)) else [encoding]
    if "numbers" in parts and len(parts) > 1:
        amounts = bool(plan(space).names)
        rest = [one for one in parts if one != "numbers" and not (amounts and one in _SAID)]
        beside = ["options"] if told(space) else []
        parts = ["numbers", *beside, *rest] if amounts else rest
    return parts


def apart(encoding: Several, space: Space, X: Rows) -> list[list[Encoding]]:
    """The encodings of each of several sets, or of the only one; of equal sets the first.

    Evidence is told by rank.
    """
    sets = several(encoding)
    if space.wiring is None and len(sets) > 1:
        sets = [one for one in sets if "flow" not in one] or sets
    names = [_named(one, space) for one in sets]
    return [
        resolve(one, space, X, by_rank=True)
        for i, one in enumerate(sets)
        if names[i] not in names[:i]
    ]


def several(encoding: Several) -> list[Encodings]:
    """The sets of encodings: each tuple in a tuple, with what stands beside them; else one.

    >>> several((("path", "size"), ("edges",))), several(("path", "size"))
    ([('path', 'size'), ('edges',)], [('path', 'size')])
    >>> several((("path", "size"), ("edges",), "depths"))
    [('path', 'size', 'depths'), ('edges', 'depths')]
    """
    parts = encoding if isinstance(encoding, (tuple, list)) else (encoding,)
    beside = tuple(one for one in parts if not isinstance(one, (tuple, list)))
    sets = [(*one, *beside) for one in parts if isinstance(one, (tuple, list))]
    return [*sets] or [beside]


class Filled(Encoding):
    """An evidence with a number where it has no answer.

    Args:
        evidence: may give NaN.
        instead: what takes its place, (f,).
    """

    def __init__(self, evidence: Evidence, instead: Floats) -> None:
        self.evidence = evidence
        self.instead = instead
        self.space = evidence.space

    @classmethod
    def by_mean(cls, evidence: Evidence, X: Rows) -> Filled:
        """With the mean of the answers to rows (n, d), 0 where there is none."""
        F = evidence.encode(X)
        there = ~np.isnan(F)
        total = np.where(there, F, 0.0).sum(axis=0, dtype=np.float64)
        return cls(evidence, total / np.maximum(there.sum(axis=0), 1))

    def encode(self, X: Rows) -> NDArray[np.float32]:
        """Features (n, f), all of them finite."""
        F = self.evidence.encode(X)
        return np.where(np.isnan(F), self.instead.astype(np.float32), F)


class Ranked(Encoding):
    """An evidence by the normal scores of its answers to the training rows.

    A number v between two that are known lies between their scores,

        z(v) = Phi^-1((#{v_i < v} + #{v_i = v} / 2) / m)   at each of m known v = v_i,

    beyond the known ones it goes on as v does in standard deviations; no answer is 0, the middle.
    So what is spread over magnitudes does not drown what is close together, and an evidence of
    which only the order means something says it.

    Args:
        evidence: may give NaN.
        X: training rows (n, d).
    """

    def __init__(self, evidence: Evidence, X: Rows) -> None:
        self.evidence = evidence
        self.space = evidence.space
        self._known = [_scores(column) for column in evidence.encode(X).T.astype(np.float64)]

    def groups(self) -> NDArray[np.int64]:
        """All answers belong together."""
        return np.zeros(len(self._known), dtype=np.int64)

    def encode(self, X: Rows) -> NDArray[np.float32]:
        """Features (n, f), all of them finite."""
        F = self.evidence.encode(X).astype(np.float64)
        for column, (known, scores, spread) in zip(F.T, self._known, strict=True):
            inside = np.clip(column, known[0], known[-1])
            column[:] = np.interp(inside, known, scores) + (column - inside) / spread
        return (
            np.nan_to_num(F, nan=0.0, posinf=_FAR, neginf=-_FAR)
            .clip(-_FAR, _FAR)
            .astype(np.float32)
        )


def _scores(values: Floats) -> tuple[Floats, Floats, float]:
    """Different numbers in order, their normal scores, and the spread of all; NaN is none."""
    values = values[np.isfinite(values)]
    if not len(values):
        return np.zeros(1), np.zeros(1), 1.0
    known, counts = np.unique(values, return_counts=True)
    scores: Floats = ndtri((np.cumsum(counts) - counts / 2) / len(values))
    spread = float(values.std())
    return known, scores, spread if spread > 0 else 1.0


def encode(parts: list[Encoding], X: Rows) -> NDArray[np.float32]:
    """Features of all encodings, side by side."""
    return np.concatenate([kept(part, X) for part in parts], axis=1, dtype=np.float32)


def standard(parts: list[Encoding], X: Rows) -> tuple[Floats, Floats, Floats]:
    """Features (n, f) of rows, and centre and weight (f,) of each.

    (features - centre) weight are standard. The features of the first encoding get unit variance,
    the f of a further one a spread of max(0.3, 4 / f): where they are many they do not drown the
    first, where they are few (`size`) they are heard. The columns of a decision that is repeated k
    times, among `numbers`, have a spread of 1 / sqrt(k): together they say as much as their total.
    A constant feature says nothing: weight 0.
    """
    blocks = [part.encode(X) for part in parts]
    spread = np.concatenate([block.std(axis=0, dtype=np.float64) for block in blocks])
    centre = np.concatenate([block.mean(axis=0, dtype=np.float64) for block in blocks])
    first, *further = (block.shape[1] for block in blocks)
    wish = np.repeat([1.0, *(max(_BESIDE, _SHORT / f) for f in further)], [first, *further])
    if isinstance(parts[0], Numbers):
        decisions = np.array(plan(parts[0].space).decisions)
        one = decisions >= 0
        count = np.bincount(decisions[one])
        wish[:first][one] = 1.0 / np.sqrt(count[decisions[one]])
    weight = np.divide(wish, spread, out=np.zeros_like(spread), where=spread > 1e-6)
    return np.concatenate(blocks, axis=1), centre, weight


class FeatureRegressor(Predictor):
    """Base of predictors that fit a scikit-learn regressor on encoded rows.

    Equal targets leave nothing to learn: they are predicted everywhere, with no deviation. What a
    regressor says of its deviation is set right by its errors in cross-validation, with five
    results and more (`parts.calibration`).

    A subclass lists its parameters, `encoding` and `target` among them, and implements `_make`; one
    with an uncertainty sets `has_std`, and implements `_score` where `predicted` does not find it.

    Args:
        space: the space whose rows it sees.
        encoding: a name of the catalog, an `Encoding`, or a tuple of them side by side.
        target: "rank" to learn ranks of the targets, "value" to learn standardised values;
            predictions are on the scale of the targets with both.
        random_state: non-negative seed, or None for fresh entropy.
    """

    encoding: Encodings
    target: Target

    @abstractmethod
    def _make(self, seed: int) -> Any:
        """An unfitted scikit-learn regressor."""

    def _score(self, model: Any, F: NDArray[np.float32]) -> tuple[Floats, Floats | None]:
        """Mean (n,) and standard deviation (n,) or None of features (n, f), on the learnt scale."""
        return predicted(model, F)

    def _fit(self, X: Rows, y: Floats, rng: np.random.Generator) -> None:
        self.encodings_ = resolve(self.encoding, self.space, X)
        self.scale_ = Scale.of(y, self.target)
        self.model_ = self._make(int(rng.integers(2**31)))
        self.constant_ = float(y[0]) if np.ptp(y) == 0 else None
        self.shrink_, self.widen_ = 1.0, 0.0
        if self.constant_ is None:
            F, scores = encode(self.encodings_, X), self.scale_.score(y)

            def said(out: NDArray[np.bool_]) -> tuple[Floats, Floats]:
                model = self._make(int(rng.integers(2**31))).fit(F[~out], scores[~out])
                mean, std = self._score(model, F[out])
                return mean, np.zeros(len(mean)) if std is None else std**2

            if self.has_std:
                self.shrink_, self.widen_ = by_folds(y, self.scale_, rng, said)
            self.model_.fit(F, scores)

    def _predict(self, X: Rows) -> tuple[Floats, Floats | None]:
        if self.constant_ is not None:
            return np.full(len(X), self.constant_), np.zeros(len(X)) if self.has_std else None
        score, std = self._score(self.model_, encode(self.encodings_, X))
        if std is None:
            return self.scale_.value(score), None
        std = np.minimum(np.sqrt(self.shrink_ * std**2 + self.widen_), _WIDEST)
        return self.scale_.value(score), self.scale_.spread(score, std)
