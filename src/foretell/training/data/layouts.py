"""Where an array of images or signals has its channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from foretell.errors import DataError, SettingError

LAYOUTS = ("channels-first", "channels-last", "grey")
_COLOURS = (1, 3, 4)
_NARROW = 8  # pixels from which bytes may be a narrow image
_LONG = 2.0  # a signal is so many times as long as it has channels, at least


def settle(shape: Sequence[int], dtype: np.dtype[Any], layout: str, label: str) -> str:
    """The layout of an array: the one that was asked for, or the only one that its shape allows.

    Four dimensions: the one that is 1, 3 or 4, else the one that differs from the two equal others
    or is less than half of them. Three: what is at least twice as long as it is wide is a signal,
    the rest are grey images.

    Raises:
        SettingError: an unknown layout.
        DataError: the shape allows several.

    >>> floats = np.dtype(float)
    >>> [settle(s, floats, "auto", "x") for s in ((9, 32, 32, 10), (9, 256, 3), (9, 8, 8))]
    ['channels-last', 'channels-last', 'grey']
    """
    if layout not in ("auto", *LAYOUTS) or (layout == "grey" and len(shape) == 4):
        raise SettingError("layout", expected="one of auto, " + ", ".join(LAYOUTS), got=layout)
    if len(shape) not in (3, 4):
        return "channels-first"
    if layout != "auto":
        return layout
    found = _four(shape) if len(shape) == 4 else _three(shape, dtype)
    if found is None:
        grey = ", grey" if len(shape) == 3 else ""
        raise DataError(
            f"{label} has an ambiguous shape {tuple(shape)}",
            expected="channels where the shape says it",
            hint=f"say it: --layout or layout= channels-first, channels-last{grey}",
        )
    return found


def note(shape: Sequence[int], layout: str) -> str:
    """How an array was understood, where that is not the plain case."""
    if len(shape) == 4:
        return f"the last of {tuple(shape)} are channels" if layout == "channels-last" else ""
    if len(shape) != 3:
        return ""
    words = {
        "grey": "(n, height, width), grey images",
        "channels-first": "signals (n, channels, length)",
        "channels-last": "signals (n, length, channels)",
    }
    return f"{tuple(shape)} is taken as {words[layout]}; --layout says otherwise"


def _four(shape: Sequence[int]) -> str | None:
    _, first, middle, last = shape
    clues = (
        (first in _COLOURS, last in _COLOURS),
        (first in _COLOURS[:2], last in _COLOURS[:2]),
        (middle == last, first == middle),
        (_LONG * first <= min(middle, last), _LONG * last <= min(first, middle)),
    )
    for one, other in clues:
        if one != other:
            return "channels-first" if one else "channels-last"
    return None


def _three(shape: Sequence[int], dtype: np.dtype[Any]) -> str | None:
    _, first, last = shape
    if max(first, last) < _LONG * min(first, last):
        return "grey"
    if dtype == np.uint8 and min(first, last) >= _NARROW:  # lines of text, or many channels
        return None
    return "channels-first" if first < last else "channels-last"
