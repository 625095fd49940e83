"""What users give, checked: numbers that are some, settings of the kind that annotations say."""

from __future__ import annotations

import contextlib
import functools
import inspect
import math
import numbers
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foretell.errors import DataError, SettingError


def reals(values: ArrayLike, what: str) -> NDArray[np.float64]:
    """An array of numbers; neither text nor complex ones are.

    Args:
        values: of any shape.
        what: they are, for the message.

    Raises: DataError where one is no real number, or lengths differ.

    >>> reals([1, True, np.float32(0.5)], "scores").tolist()
    [1.0, 1.0, 0.5]
    >>> reals(["1"], "scores")
    Traceback (most recent call last):
    ...
    foretell.errors.DataError: scores: expected real numbers, got an array of <U1
    """
    try:
        found = np.asarray(values)
    except ValueError as error:  # lists of several lengths
        raise DataError(what, expected="real numbers", got=error) from error
    if found.dtype == object and not any(isinstance(one, (str, bytes)) for one in found.flat):
        with contextlib.suppress(TypeError, ValueError):
            found = found.astype(np.float64)
    if found.dtype.kind not in "biuf":
        raise DataError(what, expected="real numbers", got=f"an array of {found.dtype}")
    return found.astype(np.float64)


def number(value: Any) -> float:
    """A real number as it is; NaN for all else.

    >>> number(np.float32(0.5)), number("0.5"), number(True)
    (0.5, nan, nan)
    """
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return float(value) if real else math.nan


def check_settings(owner: str, values: Mapping[str, Any], makes: Callable[..., Any]) -> None:
    """See that settings are of the kinds that annotations say, as far as these are plain.

    Plain are whole numbers, other numbers, and one of some texts, each of them or None; what is
    annotated otherwise is left to who uses it.

    Args:
        owner: whose settings they are, for the message.
        values: by name.
        makes: the class whose constructor is annotated.

    Raises: SettingError for the first that is not.

    >>> def bake(layers: int, shape: Literal["round", "flat"] | None = None): ...
    >>> check_settings("cake", {"layers": np.int64(2), "shape": None}, bake)
    >>> check_settings("cake", {"layers": 2.5}, bake)
    Traceback (most recent call last):
    ...
    foretell.errors.SettingError: cake, layers: expected a whole number, got 2.5
    """
    kinds = _kinds(makes)
    for name, value in values.items():
        if name in kinds and not any(_is(kind, value) for kind in kinds[name]):
            raise SettingError(
                f"{owner}, {name}",
                expected=", or ".join(dict.fromkeys(map(_words, kinds[name]))),
                got=repr(value),
            )


@functools.lru_cache(maxsize=512)
def _kinds(makes: Callable[..., Any]) -> dict[str, tuple[Any, ...]]:
    """The kinds that each argument may have, where all of them are plain.

    What is not annotated is of the kind of its default, if that is a number.
    """
    defaults = {name: one.default for name, one in inspect.signature(makes).parameters.items()}
    hints = {name: type(one) for name, one in defaults.items() if type(one) in (int, float)}
    with contextlib.suppress(NameError, TypeError):  # names that a type checker alone has
        of: Any = makes  # whose constructor no type checker would name
        hints |= get_type_hints(of.__init__ if isinstance(makes, type) else of)
    found = {}
    for name, hint in hints.items():
        union = get_origin(hint) in (Union, UnionType)
        kinds = get_args(hint) if union else (hint,)
        if all(kind in (int, float, NoneType) or get_origin(kind) is Literal for kind in kinds):
            found[name] = kinds
    return found


def _is(kind: Any, value: Any) -> bool:
    if kind is NoneType:
        return value is None
    if kind is int:
        return isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if kind is float:
        return isinstance(value, numbers.Real) and not math.isnan(value)
    return isinstance(value, str | int) and value in get_args(kind)


def _words(kind: Any) -> str:
    if kind is NoneType:
        return "None"
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(map(str, get_args(kind)))
    return "a whole number" if kind is int else "a number"
