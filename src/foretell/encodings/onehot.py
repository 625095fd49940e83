"""One-hot encoding of the decisions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foretell.encodings.base import Encoding
from foretell.spaces.base import Rows, Space


class OneHot(Encoding):
    """One bit for each option of each decision; all zero where a decision does not apply.

    Shapes: (n, d) to (n, sum of `space.n_options`).

    References: adjacency one-hot encoding, White et al. 2020, A Study on Encodings for NAS.

    >>> import foretell as ft
    >>> OneHot(ft.spaces.get("nb201")).transform([[0, 1, 2, 3, 4, 0]]).shape
    (1, 30)
    """

    def __init__(self, space: Space) -> None:
        self.space = space

    def encode(self, X: Rows) -> NDArray[np.float32]:
        """Bits (n, f)."""
        options = self.space.n_options
        bits = np.zeros((len(X), int(options.sum())), dtype=np.float32)
        at = X + (np.cumsum(options) - options)
        np.put_along_axis(bits, at, self.space.active(X).astype(np.float32), axis=1)
        return bits
