"""SemiNAS: a second NAO learns from the architectures that the first one has judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from foretell.errors import SettingError
from foretell.predictors.base import Floats, Predictor, inside, settings_of
from foretell.predictors.nao import NAO
from foretell.predictors.parts.predicted import predicted
from foretell.spaces.base import Rows, Space


class SemiNAS(Predictor):
    """Semi-supervised NAO: measured architectures, and many that are only predicted.

    1. A teacher, `NAO`, learns from the n measured rows.
    2. It predicts `unlabelled` random rows of the space.
    3. A student, `NAO` again, learns from both, the measured rows `repeats` times: what encoder and
       decoder know of the space comes from all of them, and the order mostly from what is measured.

    Predictions are the student's; the standard deviation is the teacher's, whose members leave rows
    out that no other copy tells them.

    Args:
        space: the space whose rows it sees.
        unlabelled: random rows that the teacher predicts, at least 1.
        repeats: how often a measured row is among the student's, at least 1; None for as many as
            make half of them.
        epochs: passes of the student through its rows, at least 1.
        settings: of `NAO` (teacher and student), where not its defaults.
        random_state: non-negative seed, or None for fresh entropy.

    References: Luo et al. 2020, Semi-Supervised Neural Architecture Search, section 3.2.
    Differs: the paper's student goes on from the teacher's weights; it has 10,000 unlabelled rows,
    10 repeats and one network with the paper's settings of NAO: `SemiNAS.paper(space)`.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(40, rng=0)
    >>> quick = {"hidden": 8, "min_steps": 100}
    >>> model = SemiNAS(space, 100, settings=quick, random_state=0).fit(X, (X == 3).sum(axis=1))
    >>> low, high = model.predict([[0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]])
    >>> bool(high > low + 2)
    True
    """

    without_std = NAO.without_std
    ranges: ClassVar = {
        "unlabelled": [500, 1000, 2000],
        "epochs": [2, 4, 8],
        "settings": [{"hidden": 16}, {"hidden": 32}, {"lr": 2e-2}],
    }

    def __init__(
        self,
        space: Space,
        unlabelled: int = 2000,
        repeats: int | None = None,
        epochs: int = 4,
        settings: Mapping[str, Any] | None = None,
        random_state: int | None = None,
    ) -> None:
        self.space = space
        self.unlabelled = unlabelled
        self.repeats = repeats
        self.epochs = epochs
        self.settings = settings
        self.random_state = random_state

    @property
    def has_std(self) -> bool:  # type: ignore[override]  # that of the teacher
        """Whether `NAO` with these settings has an uncertainty."""
        return inside(NAO, self.space, self.settings).has_std

    @classmethod
    def paper(cls, space: Space, random_state: int | None = None, **changes: Any) -> SemiNAS:
        """The settings of the paper, with the study's passes through the rows."""
        settings: dict[str, Any] = {
            "unlabelled": 10_000,
            "repeats": 10,
            "epochs": 50,
            "settings": settings_of(NAO.paper(space)),
        }
        return cls(space, random_state=random_state, **{**settings, **changes})

    def _fit(self, X: Rows, y: Floats, rng: np.random.Generator) -> None:
        for name in ("unlabelled", "epochs", "repeats"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SettingError(name, expected="at least 1", got=value)
        first, second = (int(seed) for seed in rng.integers(2**31, size=2))
        teacher = inside(NAO, self.space, self.settings, random_state=first)
        self.teacher_ = teacher.fit(X, y)
        more = self.space.sample(self.unlabelled, rng)
        repeats = self.repeats or max(round(self.unlabelled / len(X)), 1)
        fixed = {"random_state": second, "epochs": self.epochs}
        student = inside(NAO, self.space, self.settings, **fixed)
        self.student_ = student.fit(
            np.concatenate([np.repeat(X, repeats, axis=0), more]),
            np.concatenate([np.repeat(y, repeats), self.teacher_.predict(more)]),
        )

    def _predict(self, X: Rows) -> tuple[Floats, Floats | None]:
        return self._mean(X), predicted(self.teacher_, X)[1]

    def _mean(self, X: Rows) -> Floats:
        return self.student_.predict(X)
