"""What an encoding is: a stateless scikit-learn transformer on the rows of a space."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from foretell.errors import SettingError
from foretell.spaces.base import Rows, Space


def a_space(owner: object, space: Any) -> Space:
    """The space of `owner`, or an error where it is none, such as a name."""
    if isinstance(space, Space):
        return space
    raise SettingError(
        f"{type(owner).__name__}, space",
        expected="a space",
        got=repr(space),
        hint=f"foretell.spaces.get({space!r})" if isinstance(space, str) else None,
    )


class Encoding(TransformerMixin, BaseEstimator, ABC):  # type: ignore[misc]  # scikit-learn has no types
    """Base of all encodings: from rows (n, d) to float32 features (n, f).

    `fit` learns nothing from the targets. An encoding works on the rows or on the graph view, so
    it serves every space, the user's own too.

    Args:
        space: the space whose rows it sees.
    """

    space: Space
    pure: ClassVar[bool] = False  # a function of a row and the settings alone, and not free

    @abstractmethod
    def encode(self, X: Rows) -> NDArray[np.float32]:
        """Features (n, f) of checked rows (n, d)."""

    def groups(self) -> NDArray[np.int64] | None:
        """For each feature (f,) which of them belong together, from 0; None where nothing says so.

        A Gaussian process has a length for each group, and one of each feature near it.
        """
        return None

    def fit(self, X: ArrayLike | None = None, y: Any = None) -> Self:
        """Nothing to learn."""
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Features (n, f) of rows (n, d)."""
        space = a_space(self, self.space)
        return self.encode(space.canonical_form(space.check(X)))

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Names of the features: that of the class in small letters, and a number."""
        n = self.encode(a_space(self, self.space).sample(1, rng=0)).shape[1]
        return np.array([f"{type(self).__name__.lower()}{i}" for i in range(n)], dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return True
