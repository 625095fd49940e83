"""All rows of a space by number: exact count, and the rows of any numbers, without a list."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.spaces.parts.layout import Layout


class Grid:
    """The rows of a layout in canonical form, numbered from 0.

    A column that others wait for has, for each option, as many rows as its opened children
    have together: N(column) = sum over options of the product of N(child) over opened children.

    Args:
        layout: the columns.
        conditional: False to let every column apply everywhere: the full grid.
    """

    def __init__(self, layout: Layout, conditional: bool = True) -> None:
        d = len(layout.columns)
        self._order = layout.order if conditional else tuple(range(d))
        parent = layout.parent if conditional else (-1,) * d
        self._opens = layout.opens
        self._children = [[c for c in range(d) if parent[c] == j] for j in range(d)]
        self._roots = [j for j in range(d) if parent[j] < 0]
        self._totals = [0] * d
        self._starts: list[list[int]] = [[] for _ in range(d)]
        for j in reversed(self._order):
            start = 0
            for option in range(len(layout.columns[j].options)):
                self._starts[j].append(start)
                opened = [c for c in self._children[j] if self._opens[c][option]]
                start += math.prod(self._totals[c] for c in opened)
            self._totals[j] = start
        self.size = math.prod(self._totals[j] for j in self._roots)

    def rows(self, first: int, count: int, dtype: Any = np.int8) -> NDArray[Any]:
        """Rows `first` to `first + count - 1`. Shapes: returns (count, d)."""
        # beyond 2^62 numbers are Python integers: slow, and exact
        wide = object if self.size >= 2**62 else np.int64
        number: Any = np.arange(count).astype(wide) + first
        part: dict[int, Any] = {}
        for j in reversed(self._roots):
            number, part[j] = _divmod(number, self._totals[j])
        out = np.zeros((count, len(self._totals)), dtype=dtype)
        for j in self._order:
            number = part.pop(j)
            if not self._children[j]:
                out[:, j] = number
                continue
            starts = np.array(self._starts[j], dtype=wide)
            option = np.searchsorted(starts, number, side="right") - 1
            out[:, j] = option
            number = number - starts[option]
            for c in reversed(self._children[j]):
                radix = np.where(self._opens[c], self._totals[c], 1).astype(wide)[option]
                number, part[c] = _divmod(number, radix)
        return out


def _divmod(number: Any, radix: Any) -> tuple[Any, Any]:
    # numpy's own divmod takes no Python integers, and is slower
    quotient = number // radix
    return quotient, number - quotient * radix
