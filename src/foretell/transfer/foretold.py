"""The score of the shipped prior, as an encoding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foretell.encodings.base import Encoding
from foretell.encodings.measures import Measures
from foretell.spaces.base import Rows, Space
from foretell.transfer.parts.prior import Prior, shipped


class Foretold(Encoding):
    """What networks of other spaces say of a network: the prior's score.

    Args:
        space: the space whose rows it sees.
        prior: another prior than the shipped one.

    Shapes: (n, d) to (n, 1).

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> scores = Foretold(space).transform([[0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]])
    >>> bool(scores[1, 0] > scores[0, 0] + 1)
    True
    """

    def __init__(self, space: Space, prior: Prior | None = None) -> None:
        self.space = space
        self.prior = prior

    def encode(self, X: Rows) -> NDArray[np.float32]:
        """Scores (n, 1)."""
        prior = self.prior or shipped()
        return prior.score(Measures(self.space).encode(X))[0][:, None].astype(np.float32)
