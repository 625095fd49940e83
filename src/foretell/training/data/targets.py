"""What is to be predicted: labels to class numbers, or numbers; and the split of the rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from foretell.errors import DataError, SettingError

Task = Literal["classification", "regression", "multilabel"]
TASKS = get_args(Task)
Where = Callable[[int], str]
_EXACT = 2**53  # up to it whole numbers are exact as floats
FEW = 20  # up to so many different whole numbers are classes, for feature vectors
FEW_IMAGE = 1000  # and for images, where labels are mostly numbered


class Targets(NamedTuple):
    """Shapes: `y` (n,) int64 class numbers, (n, labels) float32 from 0 to 1, or (n, targets)
    float64."""

    task: Task
    y: NDArray[Any]
    labels: tuple[str, ...]
    note: str = ""


def read(
    y: NDArray[Any], task: str, *, images: bool, where: Where, names: Sequence[str] = ()
) -> Targets:
    """Classes, labels or numbers; classes are coded 0, 1, ... in sorted order.

    With "auto", text is classes; so are few different whole numbers (at most 20; 1,000 for
    images), and rows of 0 and a single 1. Rows of 0 and 1 are labels. Everything else is
    regression. The note says what was taken for what, and how to change it.

    Args:
        y: (n,), (n, 1) or (n, targets).
        task: "auto", "classification", "regression" or "multilabel".
        images: whether the inputs are images.
        where: names row i in errors.
        names: of the targets, where there are several.
    """
    if task not in ("auto", *TASKS):
        known = " or ".join(map(repr, TASKS))
        raise SettingError("task", expected=f"'auto', {known}", got=repr(task))
    if y.ndim not in (1, 2) or 0 in y.shape:
        raise DataError("targets", expected="shape (n,) or (n, targets)", got=f"shape {y.shape}")
    if y.ndim == 2 and y.shape[1] == 1 and task != "multilabel":
        y = y[:, 0]
    if y.dtype.kind in "iu" and task != "regression" and abs(y.astype(object)).max() > _EXACT:
        y = y.astype(np.str_)  # ids that floats would merge
    values = _values(y, where)
    if task == "auto":
        task, why = _guess(values, images)
        others = " or ".join(f"--task {one}" for one in TASKS if one != task and _may(values, one))
        note = f"{why}: {task} ({others} takes them otherwise)" if others else ""
        return _READ[task](values, where, names)._replace(note=note)
    return _READ[task](values, where, names)


def _guess(values: NDArray[Any], images: bool) -> tuple[str, str]:
    """The task that targets look like, and why."""
    if values.dtype.kind == "U":
        return "classification", "the target is text"
    if values.ndim == 2:
        if _is_one_hot(values):
            return "classification", "the targets are rows of 0 and a single 1"
        if np.isin(values, (0.0, 1.0)).all():
            return "multilabel", "the targets are rows of 0 and 1"
        if _is_shares(values) and np.allclose(values.sum(axis=1), 1, atol=1e-3):
            return (
                "classification",
                "the targets are shares of classes, the largest counts",
            )
        return "regression", f"the {values.shape[1]} targets are numbers"
    distinct = np.unique(values)
    if not (values == np.round(values)).all():
        return "regression", "the target has numbers with decimals"
    said = f"the target has {len(distinct):,} different whole numbers"
    few = len(distinct) <= (FEW_IMAGE if images else FEW)
    return ("classification" if few else "regression"), said


def _may(values: NDArray[Any], task: str) -> bool:
    """Whether targets could be meant as a task."""
    if values.dtype.kind == "U":
        return task == "multilabel" and any(_MARKS.search(text) for text in values.flat)
    if task == "multilabel":
        return values.ndim == 2 and _is_shares(values)
    if task == "classification":
        return (values.ndim == 1 and bool((values == np.round(values)).all())) or (
            values.ndim == 2 and _is_shares(values) and not np.isin(values, (0.0, 1.0)).all()
        )
    return True


def _as_classes(values: NDArray[Any], where: Where, names: Sequence[str]) -> Targets:
    if values.ndim == 2:
        if values.dtype.kind == "U" or not _is_shares(values):
            raise DataError(
                "targets",
                expected="one class for each row",
                got=f"shape {values.shape}",
                hint="several labels for each row are --task multilabel",
            )
        totals = values.sum(axis=1)
        if not np.allclose(totals, 1, atol=1e-3):
            i = int(np.argmax(abs(totals - 1)))
            raise DataError(
                f"targets of {where(i)}",
                expected="shares of classes that sum to 1",
                got=float(totals[i]),
                hint="several labels for each row are --task multilabel",
            )
        labels = tuple(names) or tuple(map(str, range(values.shape[1])))
        y = values.argmax(axis=1).astype(np.int64)
        there = np.unique(y)  # classes without an example are none
        return Targets("classification", np.searchsorted(there, y), tuple(labels[k] for k in there))
    if values.dtype.kind != "U":
        whole = values == np.round(values)
        if not whole.all():
            i = int(np.argmin(whole))
            raise DataError(
                f"target of {where(i)}",
                expected="a whole number or text, to be a class",
                got=float(values[i]),
            )
    distinct, y = np.unique(values, return_inverse=True)
    found = distinct if distinct.dtype.kind == "U" else [int(value) for value in distinct]
    return Targets("classification", y.astype(np.int64), tuple(str(label) for label in found))


def _as_numbers(values: NDArray[Any], where: Where, names: Sequence[str]) -> Targets:
    if values.dtype.kind == "U":
        raise DataError(f"target of {where(0)}", expected="a number", got=repr(str(values.flat[0])))
    return Targets("regression", values.reshape(len(values), -1), ())


def _as_labels(values: NDArray[Any], where: Where, names: Sequence[str]) -> Targets:
    """Rows of 0 and 1, or of shares between; or text with several labels: "red|round"."""
    if values.dtype.kind == "U" and values.ndim == 1:
        sets = [{label.strip() for label in _MARKS.split(text)} - {""} for text in values]
        names = sorted(set().union(*sets))
        values = np.array([[label in one for label in names] for one in sets], dtype=np.float64)
    if values.dtype.kind == "U" or values.ndim != 2 or not _is_shares(values):
        raise DataError(
            "targets",
            expected="a row of 0 and 1 for each example, or text such as 'red|round'",
            got=f"shape {values.shape}"
            if values.ndim != 2
            else f"values from {values.min()} to {values.max()}",
        )
    labels = tuple(names) or tuple(map(str, range(values.shape[1])))
    return Targets("multilabel", values.astype(np.float32), labels)


_MARKS = re.compile(r"[|;,]")
_READ = {"classification": _as_classes, "regression": _as_numbers, "multilabel": _as_labels}


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
    if y.dtype.kind == "S":  # as HDF5 has text
        y = np.char.decode(y, "utf-8", "replace")
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


def _is_one_hot(values: NDArray[np.float64]) -> bool:
    return (
        values.ndim == 2
        and bool(np.isin(values, (0.0, 1.0)).all())
        and bool((values.sum(axis=1) == 1).all())
    )


def _is_shares(values: NDArray[np.float64]) -> bool:
    return bool((values >= 0).all() and (values <= 1).all())
