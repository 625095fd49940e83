"""Settings of spaces: lists of numbers, and what goes in and out of networks."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np

from foretell.errors import SettingError, SpaceError
from foretell.spaces.parts.layout import listed


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


def io_of(space: str, input_shape: Sequence[int], n_outputs: int) -> tuple[tuple[int, ...], int]:
    """Shape of one example and number of outputs, or an error where they are no such things."""
    try:
        shape, outputs = tuple(int(size) for size in input_shape), int(n_outputs)
    except (TypeError, ValueError):
        shape, outputs = (), 0
    if not shape or min(shape) < 1 or outputs < 1:
        raise SettingError(
            f"input_shape or n_outputs of space {space!r}",
            expected="positive integers such as (3, 32, 32) and 10",
            got=f"{input_shape!r} and {n_outputs!r}",
        )
    return shape, outputs


def no_cost(space: str | None, name: object, known: Sequence[str]) -> SettingError:
    """The error for a cost that a space does not know.

    >>> print(no_cost("nb201", "parms", ("params", "flops")))
    unknown cost 'parms' of space 'nb201': expected params or flops. Next: did you mean 'params'?
    """
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else None
    if name == "latency_ms":
        hint = "say how latency is measured: a `foretell.costs.latency.Latency` with the limits"
    return SettingError(
        f"unknown cost {name!r}" + (f" of space {space!r}" if space else ""),
        expected=" or ".join(known),
        hint=hint,
    )


def image_shape(space: str, input_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """`input_shape` as (channels, height, width), or an error that names the space."""
    axes = ("channels", "height", "width")
    channels, height, width = _shape(space, "images", axes, input_shape)
    return channels, height, width


def signal_shape(space: str, input_shape: tuple[int, ...]) -> tuple[int, int]:
    """`input_shape` as (channels, length), or an error that names the space."""
    channels, length = _shape(space, "signals", ("channels", "length"), input_shape)
    return channels, length


def _shape(
    space: str, kind: str, axes: tuple[str, ...], input_shape: tuple[int, ...]
) -> tuple[int, ...]:
    if len(input_shape) != len(axes) or min(input_shape) < 1:
        raise SpaceError(
            f"{space} takes {kind}",
            expected=f"input_shape ({', '.join(axes)})",
            got=input_shape,
            hint=_instead(input_shape),
        )
    return input_shape


def _instead(input_shape: tuple[int, ...]) -> str:
    """Which space takes such inputs."""
    kinds = {2: "signals use the space 'signal'", 3: "images use the space 'mobile'"}
    return "for " + kinds.get(len(input_shape), "feature vectors use the space 'tabular'")


def at_least(**settings: tuple[int, int] | tuple[int, int, int]) -> None:
    """An error for the first `name=(value, lowest)` that is not an integer of that size.

    A third number is the highest: of how many decisions there are, which a damaged file may say.
    """
    for name, (value, lowest, *highest) in settings.items():
        number = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if not number or value < lowest or value > min(highest, default=value):
            size = f"from {lowest} to {highest[0]}" if highest else f">= {lowest}"
            raise SettingError(f"bad {name}", expected=f"an integer {size}", got=repr(value))


def divides(space: str, divisor: int, **settings: int) -> None:
    """An error for the first number of channels that `divisor` does not divide.

    >>> divides("nb201", 4, channels=16)
    """
    for name, value in settings.items():
        if divisor < 1 or value % divisor:
            raise SettingError(
                f"partial channels of space {space!r}: 1/{divisor} of {value} {name}",
                expected=f"a divisor of {value}",
                got=divisor,
            )


def undivided(space: str, divisor: int) -> None:
    """An error where a supernet shall run on a part of the channels and cannot.

    >>> undivided("mobile", 1)
    """
    if divisor != 1:
        raise SpaceError(
            f"a supernet of space {space!r} with partial channels",
            expected="divisor=1",
            hint="take a method without (darts, drnas), or override `supernet` to build one",
        )
