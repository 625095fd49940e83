"""What is to be predicted: labels to class numbers, or numbers; and the split of the rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foretell.errors import DataError, SettingError

Task = Literal["classification", "regression"]
Where = Callable[[int], str]
FEW = 20  # up to so many different whole numbers are classes, for feature vectors
FEW_IMAGE = 1000  # and for images, where labels are mostly numbered


class Targets(NamedTuple):
    """Shapes: `y` (n,) int64 class numbers, or (n, targets) float64."""

    task: Task
    y: NDArray[Any]
    labels: tuple[str, ...]
    note: str = ""


def read(y: NDArray[Any], task: str, *, images: bool, where: Where) -> Targets:
    """Decide between classes and numbers, and code the classes 0, 1, ... in sorted order.

    Text is classes; so are few different whole numbers (at most 20; 1,000 for images), and rows
    of 0 and a single 1. Everything else is regression.

    Args:
        y: (n,), (n, 1) or (n, targets).
        task: "auto", "classification" or "regression".
        images: whether the inputs are images.
        where: names row i in errors.
    """
    if task not in ("auto", "classification", "regression"):
        raise SettingError(
            "task", expected="'auto', 'classification' or 'regression'", got=repr(task)
        )
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim not in (1, 2) or 0 in y.shape:
        raise DataError("targets", expected="shape (n,) or (n, targets)", got=f"shape {y.shape}")
    values = _values(y, where)
    if values.dtype.kind == "U":
        if task == "regression" or values.ndim > 1:
            raise DataError(
                f"target of {where(0)}", expected="a number", got=repr(str(values.flat[0]))
            )
        return _classes(values)
    if task != "regression" and _is_one_hot(values):
        return _classes(values.argmax(axis=1).astype(np.float64))
    if values.ndim == 1 and task != "regression":
        whole = values == np.round(values)
        distinct = np.unique(values)
        if task == "classification":
            if not whole.all():
                i = int(np.argmin(whole))
                raise DataError(
                    f"target of {where(i)}",
                    expected="a whole number or text, to be a class",
                    got=float(values[i]),
                )
            return _classes(values)
        if whole.all() and len(distinct) <= (FEW_IMAGE if images else FEW):
            note = (
                ""
                if images
                else (
                    f"the target's {len(distinct)} different whole numbers are taken as classes; "
                    "task='regression' takes them as numbers"
                )
            )
            return _classes(values)._replace(note=note)
    if task == "classification":
        raise DataError("targets", expected="one class for each row", got=f"shape {values.shape}")
    return Targets("regression", values.reshape(len(values), -1), ())


def check_counts(
    y: NDArray[np.int64], labels: tuple[str, ...], parts: Mapping[str, int], where: Where
) -> None:
    """Refuse what cannot be split: one class, a class of one example, a class never trained on."""
    n_pool = parts.get("train", len(y))
    counts = np.bincount(y[:n_pool], minlength=len(labels))
    if len(labels) < 2:
        raise DataError(
            "there is one class only", expected="at least two", got=repr(labels[0]),
            hint="is it the right target column or folder?",
        )  # fmt: skip
    if not counts.all():
        i = n_pool + int(np.argmin(counts[y[n_pool:]] > 0))
        raise DataError(
            f"label {labels[y[i]]!r} of {where(i)} is in no training example",
            expected="one of " + ", ".join(np.array(labels)[counts > 0][:20]),
        )
    if "val" not in parts and counts.min() < 2:
        rare = int(counts.argmin())
        i = int(np.argmax(y == rare))
        raise DataError(
            f"class {labels[rare]!r} has a single example ({where(i)})",
            expected="two or more of each class",
            got=f"{(counts == 1).sum()} of {len(labels)} classes with one",
            hint="add examples or drop the class; or is another column the target?",
        )


def split(
    y: NDArray[Any],
    fractions: tuple[float, float, float],
    parts: Mapping[str, int],
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], tuple[int, int, int]]:
    """Row numbers in the order train, val, test, and how many of each.

    Classes (integer `y`) are spread evenly: row j of the m rows of a class, in random order, gets
    the key (j + u) / m with one u from [0, 1) a class, and the rows sorted by key are cut. Every
    class has at least one training row. Splits that the data came with stay as they are.

    Args:
        y: (n,) class numbers, or (n, targets) floats.
        fractions: shares of train, val and test.
        parts: sizes of the splits that the data came with, in that order; empty if none.
        rng: what decides.
    """
    n = len(y)
    pool = parts.get("train", n)
    n_val, n_test = parts.get("val", 0), parts.get("test", 0)
    share = sum(f for f, part in zip(fractions, ("train", "val", "test"), strict=True)
                if part == "train" or not parts.get(part))  # fmt: skip
    cut_val = 0 if n_val else max(1, round(pool * fractions[1] / share))
    cut_test = 0 if n_test else max(1, round(pool * fractions[2] / share))
    n_train = pool - cut_val - cut_test
    least = max(2, len(np.unique(y))) if y.dtype.kind == "i" else 2
    if n_train < least:
        raise DataError(
            "too few examples to split",
            expected=f"at least {least} for training",
            got=f"{n_train} of {pool}",
        )
    order = rng.permutation(pool)
    if y.dtype.kind == "i":
        order = order[np.argsort(_keys(y[order], rng), kind="stable")]
    train, val, test = np.split(order, [n_train, n_train + cut_val])
    rest = np.arange(pool, n)
    index = np.concatenate([train, val, rest[:n_val], test, rest[n_val:]])
    return index.astype(np.int64), (n_train, cut_val + n_val, cut_test + n_test)


def _keys(y: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float64]:
    counts = np.bincount(y)
    by_class = np.argsort(y, kind="stable")
    first = np.cumsum(counts) - counts
    rank = np.empty(len(y), dtype=np.int64)
    rank[by_class] = np.arange(len(y)) - first[y[by_class]]
    keys = (rank + rng.random(len(counts))[y]) / counts[y]
    keys[rank == 0] = -1.0  # one of each class is trained on
    return keys


def _values(y: NDArray[Any], where: Where) -> NDArray[Any]:
    """Targets as texts (U) or float64, nothing missing."""
    if y.dtype.kind == "O":
        strings = [isinstance(value, str) for value in y.flat]
        if all(strings):
            y = y.astype(np.str_)
        elif any(strings):
            i = int(np.argmin(strings)) // (y.size // len(y))
            raise DataError(
                f"target of {where(i)}", expected="text as in other rows", got=repr(y[i])
            )
    if y.dtype.kind == "U":
        empty = np.array([not text.strip() for text in y.flat]).reshape(len(y), -1).any(axis=1)
        if empty.any():
            raise DataError(
                f"target of {where(int(np.argmax(empty)))}", expected="a label", got="none"
            )
        return y
    try:
        if y.dtype.kind not in "biufO":
            raise TypeError(f"dtype {y.dtype}")
        values = y.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError("targets", expected="numbers or text", got=str(error)) from error
    bad = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if bad.any():
        i = int(np.argmax(bad))
        raise DataError(
            f"target of {where(i)}", expected="a finite number", got=values[i],
            hint="remove rows without a target",
        )  # fmt: skip
    return values


def _classes(values: NDArray[Any]) -> Targets:
    distinct, y = np.unique(values, return_inverse=True)
    labels = distinct if distinct.dtype.kind == "U" else [int(value) for value in distinct]
    return Targets("classification", y.astype(np.int64), tuple(str(label) for label in labels))


def _is_one_hot(values: NDArray[np.float64]) -> bool:
    return (
        values.ndim == 2
        and bool(np.isin(values, (0.0, 1.0)).all())
        and bool((values.sum(axis=1) == 1).all())
    )
