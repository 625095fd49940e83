"""Checks shared by the spaces whose networks read images."""

from __future__ import annotations

import numpy as np

from foretell.errors import SettingError, SpaceError


def image_shape(space: str, input_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """`input_shape` as (channels, height, width), or an error that names the space."""
    if len(input_shape) != 3 or min(input_shape) < 1:
        raise SpaceError(
            f"{space} takes images",
            expected="input_shape (channels, height, width)",
            got=input_shape,
            hint="for feature vectors use the space 'tabular'",
        )
    channels, height, width = input_shape
    return channels, height, width


def at_least(**settings: tuple[int, int]) -> None:
    """An error for the first `name=(value, lowest)` that is not an integer of that size."""
    for name, (value, lowest) in settings.items():
        number = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if not number or value < lowest:
            raise SettingError(f"bad {name}", expected=f"an integer >= {lowest}", got=repr(value))
