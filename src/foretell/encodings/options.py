"""Options: what is taken, option by option, but of numbers with many of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foretell.encodings.base import Encoding
from foretell.encodings.numbers import numbers_of
from foretell.spaces.base import Rows, Space

MANY = 16  # options of a number, above which a bit for each says next to nothing


class Options(Encoding):
    """Bits as of `one-hot`, and how often each option of a repeated decision is taken.

    What stands beside `Numbers`: decisions that are numbers of more than 16 options are left out,
    as hardly two rows share one of them.

    Args:
        space: the space whose rows it sees.

    Shapes: (n, d) to (n, f); f is 0 where all decisions are numbers of many options.

    >>> import foretell as ft
    >>> own = ft.Space.from_choices({"width": range(8, 64), "op": ft.choice(["conv", "pool"],
    ...     repeat=3)}, build=print)
    >>> Options(own).transform([[40, 0, 1, 1]])
    array([[1., 0., 0., 1., 0., 1., 1., 2.]], dtype=float32)
    """

    def __init__(self, space: Space) -> None:
        self.space = space

    def encode(self, X: Rows) -> NDArray[np.float32]:
        """Bits and counts (n, f)."""
        active = self.space.active(X)
        bits, counts = [np.zeros((len(X), 0), dtype=np.float32)], []
        for group in told(self.space):
            options = np.arange(self.space.n_options[group.start])
            taken = (X[:, group, None] == options) & active[:, group, None]
            flat = taken.reshape(len(X), taken.shape[1] * taken.shape[2])
            bits.append(flat.astype(np.float32))
            if group.stop - group.start > 1:
                counts.append(taken.sum(axis=1).astype(np.float32))
        return np.concatenate([*bits, *counts], axis=1)


def told(space: Space) -> list[slice]:
    """The columns of each decision that has bits."""
    layout = space._layout
    return [
        group
        for group in layout.groups.values()
        if group.stop > group.start and not _many(space, layout.columns[group.start].options)
    ]


def _many(space: Space, options: tuple[object, ...]) -> bool:
    return space.amounts and len(options) > MANY and numbers_of(options) is not None
