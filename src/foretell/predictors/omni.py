"""OMNI: boosted trees on paths, with what is known at initialisation and from the first epochs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from foretell.evidence import Evidence
from foretell.predictors.base import Floats, Predictor, inside
from foretell.predictors.ngb import NGB
from foretell.predictors.parts.features import Encodings
from foretell.predictors.parts.predicted import predicted
from foretell.spaces.base import Rows, Space


class Omni(Predictor):
    """`ngb` on an encoding and evidence side by side: the best parts of three families.

    The paper's evidence is the Jacobian covariance of the untrained network and SoTL-E, the last
    training loss of a few epochs: `evidence=(ZeroCost("jacob-cov"), Curve("sotl-e", trainer, 5))`.
    Each may be left out, as the ablations of the paper do; with none it is `ngb` on paths. A row
    of which an evidence says nothing counts as the mean of the training rows.

    Args:
        space: the space whose rows it sees.
        evidence: what costs, each an `Evidence`; those without a space have this one.
        encoding: of the row itself; an empty tuple for none, where there is evidence.
        settings: of `NGB`, where not its defaults.
        random_state: non-negative seed, or None for fresh entropy.

    References: White et al., How Powerful are Performance Predictors in Neural Architecture
    Search?, NeurIPS 2021, section 5. Differs: settings of NGBoost are those of `ngb` instead of a
    random search in each fit, a study's `tune` does that; ranks are learnt.

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
        settings: Mapping[str, Any] | None = None,
        random_state: int | None = None,
    ) -> None:
        self.space = space
        self.evidence = evidence
        self.encoding = encoding
        self.settings = settings
        self.random_state = random_state

    def _fit(self, X: Rows, y: Floats, rng: np.random.Generator) -> None:
        seed = int(rng.integers(2**31))
        parts = beside(self.encoding, self.evidence)
        self.model_ = inside(NGB, self.space, self.settings, encoding=parts, random_state=seed)
        self.model_.fit(X, y)

    def _predict(self, X: Rows) -> tuple[Floats, Floats | None]:
        return predicted(self.model_, X)


def beside(encoding: Encodings | None, evidence: tuple[Evidence, ...]) -> Any:
    """Encodings, then evidence, as one tuple."""
    first = encoding if isinstance(encoding, tuple) else () if encoding is None else (encoding,)
    return (*first, *evidence)
