"""What a result is worth to an agent, whatever the scale of the values."""

from __future__ import annotations

import numpy as np

from foretell.search.history import Floats


def share_no_better(y: Floats) -> Floats:
    """Of each value the share of the values up to it that are no better, itself among them.

    A later value changes none of the earlier ones.

    Shapes: (n,) to (n,).

    >>> share_no_better(np.array([0.5, 0.2, 0.9, 0.5])).tolist()
    [1.0, 0.5, 1.0, 0.75]
    """
    if not len(y):
        return y
    no_better = np.tril(y[:, None] >= y[None, :]).sum(axis=1)
    return np.asarray(no_better / np.arange(1, len(y) + 1))
