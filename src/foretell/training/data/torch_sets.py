"""Map-style Datasets of torch, read once."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.errors import DataError

Array = NDArray[Any]
_TWICE = 16  # examples that are read twice, to see random transforms


def is_dataset(source: object) -> bool:
    """Whether it is one; torch is not imported for it."""
    torch = sys.modules.get("torch")  # a Dataset cannot come without it
    return torch is not None and isinstance(source, torch.utils.data.Dataset)


def read(source: Any, label: str) -> tuple[Array, Array]:
    """All examples of a map-style torch Dataset, read once."""
    try:
        n = len(source)
    except (TypeError, NotImplementedError) as error:
        raise DataError(
            label, expected="a Dataset with a length", got=type(source).__name__
        ) from error
    xs: list[Array] = []
    ys: list[Array] = []
    for i in range(n):
        try:
            item = source[i]
        except Exception as error:
            raise DataError(
                f"{label}[{i}] failed", got=f"{type(error).__name__}: {_line(error)}"
            ) from error
        if not isinstance(item, (tuple, list)) or len(item) != 2:
            raise DataError(f"{label}[{i}]", expected="(x, y)", got=_what(item))
        x, y = (_plain(value, f"{label}[{i}]") for value in item)
        if xs and (x.shape, y.shape) != (xs[0].shape, ys[0].shape):
            raise DataError(
                f"{label}[{i}] differs from {label}[0]",
                expected=f"shapes {xs[0].shape} and {ys[0].shape}",
                got=f"{x.shape} and {y.shape}",
                hint="resize or crop in the dataset's transform",
            )
        xs.append(x)
        ys.append(y)
    if not xs:
        raise DataError(label, expected="examples", got="an empty dataset")
    for i in range(0, n, max(1, n // _TWICE)):
        if not np.array_equal(_plain(source[i][0], f"{label}[{i}]"), xs[i], equal_nan=True):
            raise DataError(
                f"{label}[{i}] differs when it is read again",
                expected="a Dataset that gives the same each time",
                got="random transforms, probably",
                hint="leave them out: augmentation is a setting of the recipe and draws anew in "
                "every epoch, augment='crop+flip' (--set augment=crop+flip)",
            )
    return np.stack(xs), np.stack(ys)


def _plain(value: object, label: str) -> Array:
    try:
        return np.asarray(value)
    except Exception as error:
        raise DataError(label, expected="arrays, tensors or images", got=_line(error)) from error


def _what(item: object) -> str:
    return f"{len(item)} values" if isinstance(item, Sequence) else type(item).__name__


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
