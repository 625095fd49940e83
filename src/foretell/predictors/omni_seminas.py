"""OMNI with SemiNAS in place of boosted trees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from foretell.evidence import Evidence
from foretell.predictors.base import Floats, Predictor, inside
from foretell.predictors.omni import beside
from foretell.predictors.parts.features import COUNTED
from foretell.predictors.parts.predicted import predicted
from foretell.predictors.seminas import SemiNAS
from foretell.spaces.base import Rows, Space


class OmniSemiNAS(Predictor):
    """`seminas` whose predictor reads evidence beside the latent of the graph.

    Evidence is asked of the unlabelled rows too: with what costs seconds, few of them are better
    (`settings={"unlabelled": 100}`); of rows that a table lacks it is the mean of the others.

    Args:
        space: the space whose rows it sees.
        evidence: what costs, each an `Evidence`; those without a space have this one.
        settings: of `SemiNAS`, where not its defaults; `settings` in it are those of `NAO`.
        random_state: non-negative seed, or None for fresh entropy.

    References: White et al., NeurIPS 2021, appendix (OMNI on SemiNAS). Differs: scores are
    features beside the latent instead of tokens of the sequence.
    """

    without_std = SemiNAS.without_std

    def __init__(
        self,
        space: Space,
        evidence: tuple[Evidence, ...] = (),
        settings: Mapping[str, Any] | None = None,
        random_state: int | None = None,
    ) -> None:
        self.space = space
        self.evidence = evidence
        self.settings = settings
        self.random_state = random_state

    @property
    def has_std(self) -> bool:  # type: ignore[override]  # that of the one inside
        """Whether `SemiNAS` with these settings has an uncertainty."""
        return self._inside(0).has_std

    def _fit(self, X: Rows, y: Floats, rng: np.random.Generator) -> None:
        self.model_ = self._inside(int(rng.integers(2**31))).fit(X, y)

    def _inside(self, seed: int) -> SemiNAS:
        outer = dict(self.settings or {})
        inner = dict(outer.pop("settings", None) or {})
        inner["encoding"] = beside(inner.get("encoding", COUNTED), self.evidence)
        outer["settings"] = inner
        return inside(SemiNAS, self.space, outer, random_state=seed)

    def _predict(self, X: Rows) -> tuple[Floats, Floats | None]:
        return predicted(self.model_, X)
