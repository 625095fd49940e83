"""Mean and standard deviation of the training rows, and what they make of all rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.errors import DataError

Moments = NDArray[np.float64]  # of each channel, feature or target
Where = Callable[[int], str]  # names a row


def moments(
    x: NDArray[Any], rows: NDArray[np.int64], scale: float, what: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each channel or feature, block by block; std 0 becomes 1.

    Sums are of x - shift, with the first block's mean as shift, so nothing cancels.
    """
    axes = (0, *range(2, x.ndim))
    shift, total, square, count = 0.0, 0.0, 0.0, 0
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(rows), 1024):
            block = x[np.sort(rows[start : start + 1024])].astype(np.float64) / scale
            if not count:
                shift = block.mean(axis=axes, keepdims=True)
            block -= shift
            total = total + block.sum(axis=axes)
            square = square + np.square(block).sum(axis=axes)
            count += block.size // block.shape[1]
        off = np.atleast_1d(total / count)
        mean = np.ravel(shift) + off
        std = np.sqrt(np.maximum(square / count - off**2, 0))
    if not (np.isfinite(mean).all() and np.isfinite(std).all()):
        raise DataError(f"{what} are too large", expected="numbers below 1e150")
    return mean, np.where(std > 1e-9 * np.maximum(np.abs(mean), 1e-30), std, 1.0)


def normalised(
    x: NDArray[Any],
    mean: NDArray[np.float64],
    std: NDArray[np.float64],
    where: Callable[[int], str],
) -> NDArray[np.float32]:
    """(x - mean) / std as float32; features are computed in float64, images in float32.

    Args:
        x: (n, features), (n, channels, length) or (n, channels, height, width).
        mean: of each feature or channel.
        std: likewise.
        where: names row i in the error.
    """
    each = (1, -1, *(1,) * (x.ndim - 2))
    kind = np.float64 if x.ndim == 2 else np.float32
    with np.errstate(over="ignore", invalid="ignore"):
        out = (x - mean.reshape(each).astype(kind)) / std.reshape(each).astype(kind)
        result: NDArray[np.float32] = out.astype(np.float32, copy=False)
    finite = np.isfinite(result).reshape(len(x), -1).all(axis=1)
    if not finite.all():
        raise DataError(f"{where(int(np.argmin(finite)))} is far out of the training range")
    return result


def inputs(
    x: NDArray[Any],
    train: NDArray[np.int64],
    one_hot: NDArray[np.bool_] | None,
    where: Where,
) -> tuple[NDArray[Any], Moments, Moments]:
    """Normalised inputs with their moments; bytes are normalised in batches, one-hot never."""
    mean, std = moments(x, train, 255.0 if x.dtype == np.uint8 else 1.0, "inputs")
    if one_hot is not None:
        mean, std = np.where(one_hot, 0.0, mean), np.where(one_hot, 1.0, std)
    return x if x.dtype == np.uint8 else normalised(x, mean, std, where), mean, std


def targets(
    y: NDArray[Any], train: NDArray[np.int64], where: Where
) -> tuple[NDArray[Any], Moments, Moments]:
    """Normalised targets with their moments.

    Raises: DataError where there is nothing to learn.
    """
    mean, std = moments(y, train, 1.0, "targets")
    if (y[train] == y[train[0]]).all(axis=0).any():
        raise DataError(
            "a target is the same in all training rows", expected="numbers that differ",
            got=y[train[0]].tolist(),
        )  # fmt: skip
    return normalised(y, mean, std, where), mean, std
