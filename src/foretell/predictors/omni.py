"""OMNI: boosted trees on paths, with what is known at initialisation and from the first epochs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.optimize import nnls

from foretell.encodings.parts.standard import Standard
from foretell.evidence import Curve, Evidence
from foretell.predictors.base import Floats, Predictor, inside
from foretell.predictors.ngb import NGB
from foretell.predictors.parts.features import Encodings, resolve
from foretell.predictors.parts.predicted import predicted
from foretell.predictors.parts.targets import Scale
from foretell.spaces.base import Rows, Space

_CURVE = 0.5  # slope of what the first epochs say, before any result is known
_SURE = 60.0  # results that say no more than that
_ENOUGH = 400.0  # results from which trees count half beside a start that explains everything
_FAR = 3.0  # standard deviations beyond which evidence says no more


class Omni(Predictor):
    """`ngb` on an encoding and evidence side by side: the best parts of three families.

        mean(x) = start(x) + n / (n + 400 R^2) trees(x),    start(x) = sum_k w_k z_k(x),
        w = argmin over w >= 0 of |s - Z w|^2 + 60 |w - w0|^2

    on the scale s of ranks: z_k is evidence k, standardised; w0 is .5 for learning curves and 0 for
    others; trees learn s - start(x) from n results; R^2 is what the start explains of them. With a
    handful of results the order is so that of the curves, and never much below it.

    The paper's evidence is the Jacobian covariance of the untrained network and SoTL-E, the last
    training loss of a few epochs: `evidence=(ZeroCost("jacob-cov"), Curve("sotl-e", trainer, 5))`.
    Each may be left out, as the ablations of the paper do; with none it is `ngb` on paths. A row
    of which an evidence says nothing counts as the mean of the training rows.

    Args:
        space: the space whose rows it sees.
        evidence: what costs, each an `Evidence`; those without a space have this one.
        encoding: of the row itself; an empty tuple for none, where there is evidence.
        start: whether trees begin with the evidence; else it is only a column of theirs, as in the
            paper: `Omni.paper(space, evidence)`.
        settings: of `NGB`, where not its defaults.
        random_state: non-negative seed, or None for fresh entropy.

    References: White et al., How Powerful are Performance Predictors in Neural Architecture
    Search?, NeurIPS 2021, section 5. Differs: there evidence is a column beside the paths
    and no more; settings of NGBoost are those of `ngb` instead of a random search in each fit, a
    study's `tune` does that; ranks are learnt.

    >>> import foretell as ft
    >>> from foretell.evidence import Told
    >>> table = ft.Table.open("nb201-digits")
    >>> model = Omni(table.space, (Told("params", table),), settings={"trees": 30}, random_state=0)
    >>> y = table.column("val_acc")
    >>> said = model.fit(table.X[:100], y[:100]).predict(table.X[100:])
    >>> ft.metrics.kendall(y[100:], said) > 0.2
    True
    """

    has_std = True

    def __init__(
        self,
        space: Space,
        evidence: tuple[Evidence, ...] = (),
        encoding: Encodings = "path",
        start: bool = True,
        settings: Mapping[str, Any] | None = None,
        random_state: int | None = None,
    ) -> None:
        self.space = space
        self.evidence = evidence
        self.encoding = encoding
        self.start = start
        self.settings = settings
        self.random_state = random_state

    @classmethod
    def paper(
        cls,
        space: Space,
        evidence: tuple[Evidence, ...] = (),
        random_state: int | None = None,
        **changes: Any,
    ) -> Omni:
        """The settings of the study (NASLib)."""
        told: dict[str, Any] = {"start": False, "random_state": random_state}
        return cls(space, evidence, **{**told, **changes})

    def _fit(self, X: Rows, y: Floats, rng: np.random.Generator) -> None:
        seed = int(rng.integers(2**31))
        parts = beside(self.encoding, self.evidence)
        self.model_ = inside(NGB, self.space, self.settings, encoding=parts, random_state=seed)
        told = resolve(self.evidence, self.space, X) if self.evidence and self.start else []
        self.told_ = [Standard(one, X) for one in told]
        if not self.told_:
            self.model_.fit(X, y)
            return
        self.scale_ = Scale.of(y, "rank")
        s = self.scale_.score(y)
        curve = [isinstance(one, Curve) for one in self.evidence for _ in one.features]
        self.slopes_ = slopes(self._evidence(X), s, _CURVE * np.array(curve))
        start = self._start(X)
        left = float(np.mean((s - start) ** 2)) / max(float(np.mean(s**2)), 1e-12)
        self.share_ = len(y) / (len(y) + _ENOUGH * max(1.0 - left, 0.0))
        self.model_.fit(X, s - start)

    def _evidence(self, X: Rows) -> Floats:
        """What is told of rows, standardised, (n, f)."""
        return np.concatenate([one(X) for one in self.told_], axis=1).clip(-_FAR, _FAR)

    def _start(self, X: Rows) -> Floats:
        """What trees begin with, (n,), on the scale of ranks."""
        start: Floats = self._evidence(X) @ self.slopes_
        return start

    def _predict(self, X: Rows) -> tuple[Floats, Floats | None]:
        trees, std = predicted(self.model_, X)
        if not self.told_:
            return trees, std
        mean = self._start(X) + self.share_ * trees
        if std is not None:  # what is held back of the trees is not known better for that
            std = np.hypot(std, (1.0 - self.share_) * trees)
            std = self.scale_.spread(mean, std)
        return self.scale_.value(mean), std


def slopes(Z: Floats, s: Floats, first: Floats) -> Floats:
    """w >= 0 with the least |s - Z w|^2 + 60 |w - first|^2.

    >>> slopes(np.array([[1.0], [-1.0]]), np.array([1.0, -1.0]), np.array([0.5])).round(3).tolist()
    [0.516]
    """
    pull = np.sqrt(_SURE)
    A, b = np.concatenate([Z, pull * np.eye(Z.shape[1])]), np.concatenate([s, pull * first])
    found: Floats = nnls(A, b)[0]
    return found


def beside(encoding: Encodings | None, evidence: tuple[Evidence, ...]) -> Any:
    """Encodings, then evidence, as one tuple."""
    first = encoding if isinstance(encoding, tuple) else () if encoding is None else (encoding,)
    return (*first, *evidence)
