"""What an encoding is: a stateless scikit-learn transformer on the rows of a space."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from foretell.spaces.base import Rows, Space


class Encoding(TransformerMixin, BaseEstimator, ABC):  # type: ignore[misc]  # scikit-learn has no types
    """Base of all encodings: from rows (n, d) to float32 features (n, f).

    `fit` learns nothing from the targets. An encoding works on the rows or on the graph view, so
    it serves every space, the user's own too.

    Args:
        space: the space whose rows it sees.
    """

    space: Space

    @abstractmethod
    def encode(self, X: Rows) -> NDArray[np.float32]:
        """Features (n, f) of checked rows (n, d)."""

    def fit(self, X: ArrayLike | None = None, y: Any = None) -> Self:
        """Nothing to learn."""
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Features (n, f) of rows (n, d)."""
        return self.encode(self.space.canonical_form(self.space.check(X)))

    def __sklearn_is_fitted__(self) -> bool:
        return True
