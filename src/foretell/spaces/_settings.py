"""Settings of spaces that are lists of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from foretell.errors import SettingError
from foretell.spaces._choices import listed


def numbers(
    space: str, name: str, values: Sequence[Any], low: float, high: float, *, whole: bool = False
) -> tuple[Any, ...]:
    """The numbers as a tuple, or an error for one that is not in `low` to `high`.

    >>> numbers("mobile", "kernels", [3, 5], 1, 31, whole=True)
    (3, 5)
    """
    kinds = (int, np.integer) if whole else (int, float, np.integer, np.floating)
    given = listed(values, name)
    if any(isinstance(v, bool) or not isinstance(v, kinds) or not low <= v <= high for v in given):
        raise SettingError(
            f"{name} of space {space!r}",
            expected=f"{'whole ' if whole else ''}numbers from {low} to {high}",
            got=list(given),
        )
    return given
