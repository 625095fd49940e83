"""The default notation of rows: `name=option,...` of the decisions that apply."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.spaces.parts.layout import Choice


class NotationError(ValueError):
    """`word` of a string is not understood."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


class Notation:
    """Writes and reads rows of the columns as `name=option,...`."""

    def __init__(self, columns: tuple[Choice, ...]) -> None:
        self._words = [[f"{c.name}={option}" for option in c.options] for c in columns]
        self._cell = {
            word: (j, i) for j, words in enumerate(self._words) for i, word in enumerate(words)
        }
        self._names = [column.name for column in columns]

    def write(self, X: NDArray[Any], active: NDArray[np.bool_]) -> list[str]:
        """One string for each row."""
        return [
            ",".join(self._words[j][row[j]] for j in np.flatnonzero(applies))
            for row, applies in zip(X.tolist(), active, strict=True)
        ]

    def read(self, text: str) -> tuple[list[int], list[bool]]:
        """Row of a string, and which decisions it names."""
        row, named = [0] * len(self._words), [False] * len(self._words)
        for word in text.split(","):
            name, _, option = word.partition("=")
            j, i = self._cell.get(f"{name.strip()}={option.strip()}", (-1, 0))
            if j < 0 or named[j]:
                raise NotationError(word)
            row[j], named[j] = i, True
        return row, named

    def missing(self, named: list[bool], active: NDArray[np.bool_]) -> str | None:
        """The first decision that applies and is not named."""
        gaps = active & ~np.array(named)
        return self._names[int(np.argmax(gaps))] if gaps.any() else None
