"""Networks by their size: what a baseline of a cost does with the targets."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar

import numpy as np

from foretell.encodings.numbers import magnitude, plan
from foretell.encodings.size import Size
from foretell.errors import SpaceError
from foretell.predictors.base import Floats, Predictor
from foretell.predictors.parts.targets import deviation
from foretell.spaces.base import Rows, Space


class BySize(Predictor, ABC):
    """Ranks by the logarithm of a cost s; the targets only give the line's place and slope.

        prediction = mean(y) + std(y) max(r, 0.01) (s - mean(s)) / std(s)

    with r the correlation of s and y. The slope is always positive: a larger network is predicted
    to be better, also where the training rows say otherwise, or are equal: then it is told from
    others by less than a millionth of them. Where no network can be built, as its `build` needs a
    library that is not here, the product of the space's numbers stands for s
    (`foretell.encodings.numbers.magnitude`), and `guessed_` is true.

    Args:
        space: the space whose rows it sees; its `input_shape` and `n_outputs` count.
        max_builds: how many networks may be built where costs have no closed form; see
            `foretell.encodings.size.Size`.
        random_state: not used; there for the common contract.
    """

    _column: ClassVar[int]

    def __init__(
        self, space: Space, max_builds: int = 128, random_state: int | None = None
    ) -> None:
        self.space = space
        self.max_builds = max_builds
        self.random_state = random_state

    def _size(self, X: Rows) -> Floats:
        if self.guessed_:
            return magnitude(self.space, X)
        logs = Size(self.space, self.max_builds).encode(X)
        return logs[:, self._column].astype(np.float64)

    def _fit(self, X: Rows, y: Floats, rng: np.random.Generator) -> None:
        self.guessed_ = False
        try:
            size = self._size(X)
        except SpaceError:
            if not plan(self.space).names:
                raise
            self.guessed_ = True
            size = self._size(X)
        r = float(np.mean((size - size.mean()) * (y - y.mean()))) / deviation(size) / deviation(y)
        spread = max(float(y.std()), 1e-6 * (abs(float(y.mean())) or 1.0))  # of equal targets
        self.slope_ = max(r, 0.01) * spread / deviation(size)
        self.intercept_ = float(y.mean() - self.slope_ * size.mean())

    def _predict(self, X: Rows) -> tuple[Floats, Floats | None]:
        return self.intercept_ + self.slope_ * self._size(X), None
