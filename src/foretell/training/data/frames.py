"""Tables: .csv files, folders of them, DataFrames."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from foretell.errors import DataError, SettingError
from foretell.training.data import sheets, splits
from foretell.training.data.raw import Raw
from foretell.training.data.targets import FEW


def of_file(path: Path, target: str | None, task: str, drop: Sequence[str]) -> Raw:
    """A .csv file as `Raw`; its target is the last column, unless said."""
    columns, lines, notes = sheets.read_csv(path)
    raw = _raw(
        columns, path.name.split(".")[0], str(path), lambda i: f"line {lines[i]} of {path}",
        target, task, drop,
    )  # fmt: skip
    return replace(raw, notes=(*notes, *raw.notes))


def of_folder(path: Path, target: str | None, task: str, drop: Sequence[str]) -> Raw | None:
    """train.csv and test.csv (and val.csv) of a folder as one `Raw`; None where there are none.

    A file of another split that lacks a target is one to predict, and is left out.

    Raises: DataError where the files have different columns.
    """
    files = sorted(one for one in path.iterdir() if one.name.lower().endswith(sheets.SUFFIXES))
    parts = splits.find(files, lambda one: one.name.split(".")[0], str(path))
    if "train" not in parts:
        return None
    read = {part: sheets.read_csv(file) for part, file in parts.items()}
    first = read["train"].columns
    names = [column.name for column in first]
    asked = names[-1:] if target is None else _asked(target, names)
    notes = [f"{parts[part].name}: {one}" for part, sheet in read.items() for one in sheet.notes]
    for part, sheet in list(read.items()):
        lacks = [name for name in asked if name not in [column.name for column in sheet.columns]]
        if lacks and part != "train":
            del read[part]
            notes.append(f"{parts[part].name} has no {lacks[0]!r} and was left out: predict it")
    others = sorted(set(files) - {parts[part] for part in parts})
    if others:
        notes.append(f"left out: {', '.join(one.name for one in others)}")
    joined = []
    for name in names:
        each = [{c.name: c for c in sheet.columns}.get(name) for sheet in read.values()]
        if None not in each:
            joined.append(sheets.joined([one for one in each if one is not None]))
        elif name not in drop:
            lacks = [parts[part].name for part, one in zip(read, each, strict=True) if one is None]
            raise DataError(
                f"{parts['train'].name} has a column {name!r}",
                expected="the same columns in each file",
                got=f"none of it in {lacks[0]}",
                hint="leave it out (--drop)",
            )
    sizes = {part: len(sheet.lines) for part, sheet in read.items()}
    ends = np.cumsum(list(sizes.values()))

    def where(i: int) -> str:
        at = int(np.searchsorted(ends, i, side="right"))
        part = list(read)[at]
        start = int(ends[at]) - sizes[part]
        return f"line {read[part].lines[i - start]} of {parts[part]}"

    known = [column.name for column in joined]
    drop = [name for name in drop if name in known or name not in names]
    raw = _raw(tuple(joined), path.resolve().name, str(path), where, target, task, drop)
    said = ", ".join(f"{part} {size}" for part, size in sizes.items())
    notes = [*raw.notes, *notes, *[f"the folder has splits of its own: {said}"] * (len(sizes) > 1)]
    return replace(raw, notes=tuple(notes), parts=sizes if len(sizes) > 1 else {})


def is_frame(source: object) -> bool:
    """Whether it is a DataFrame, of pandas or alike: columns by name."""
    named = hasattr(source, "columns") and hasattr(source, "__getitem__")
    return named and hasattr(source, "dtypes") and not isinstance(source, np.ndarray)


def of_frame(frame: Any, y: object, target: str | None, task: str, drop: Sequence[str]) -> Raw:
    """A DataFrame as `Raw`; `y` has the targets, or is None where one of its columns is."""
    columns = sheets.of_frame(frame)
    if y is not None:
        given = _targets(y, {column.name for column in columns}, len(columns[0].texts))
        columns = (*columns, *given)
        target = ",".join(column.name for column in given)
    return _raw(columns, "table", "the table", lambda i: f"row {i}", target, task, drop)


def _targets(y: object, taken: Collection[str], n: int) -> tuple[sheets.Column, ...]:
    """Columns of targets that come beside a table."""
    if is_frame(y):
        columns = sheets.of_frame(y)
    else:
        values = np.asarray(y)
        if values.ndim not in (1, 2):
            raise DataError("targets", expected="shape (n,) or (n, targets)", got=values.shape)
        word = str(getattr(y, "name", None) or "target")
        each = [values] if values.ndim == 1 else list(values.T)
        names = [word] if len(each) == 1 else [f"{word}_{j}" for j in range(len(each))]
        columns = tuple(sheets.of_values(name, one) for name, one in zip(names, each, strict=True))
    if any(len(column.texts) != n for column in columns):
        raise DataError("targets", expected=f"{n}, one for each row", got=len(columns[0].texts))
    return tuple(
        column._replace(name=f"{column.name} (target)") if column.name in taken else column
        for column in columns
    )


def _asked(target: str, names: Sequence[str]) -> list[str]:
    """Columns that are asked for: one, or several with commas."""
    return [target] if target in names else [word.strip() for word in target.split(",")]


def _raw(
    columns: Sequence[sheets.Column],
    title: str,
    origin: str,
    where: Callable[[int], str],
    target: str | None,
    task: str,
    drop: Sequence[str],
) -> Raw:
    """The columns of a table as inputs and targets."""
    names = [column.name for column in columns]
    foreign = [name for name in drop if name not in names]
    if foreign:
        raise SettingError(
            f"no column {foreign[0]!r} to drop in {origin}", expected="some of " + ", ".join(names)
        )
    columns = tuple(column for column in columns if column.name not in drop)
    names = [column.name for column in columns]
    wanted = names[-1:] if target is None else _asked(target, names)
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise SettingError(
            f"no target column {unknown[0]!r} in {origin}", expected="one of " + ", ".join(names)
        )
    found = [columns[names.index(name)] for name in wanted]
    ys = [_target(y, task, alone=len(found) == 1) for y in found]
    for y in ys:
        missing = [i for i, text in enumerate(y.texts) if not text]
        if missing:
            raise DataError(
                f"column {y.name!r}, {where(missing[0])}",
                expected="a target in every row",
                got=f"{len(missing)} rows without",
                hint="remove these rows, or choose another target column",
            )
    rest = tuple(column for column in columns if column.name not in wanted)
    if not rest:
        raise DataError(
            f"{origin} has one column only", expected="features and a target", got=names[0]
        )
    notes = [f"left out as asked: {', '.join(drop)}"] * bool(drop)
    if target is None:
        notes.append(f"the target is the last column, {names[-1]!r}")
    values = [np.array(y.texts) if y.numbers is None else y.numbers for y in ys]
    text = [y for y in ys if y.numbers is None]
    if text and len(ys) > 1:
        raise DataError(
            f"target column {text[0].name!r}", expected="numbers", got=text[0].not_a_number
        )
    return Raw(
        title,
        None,
        values[0] if len(ys) == 1 else np.stack(values, axis=1),
        where,
        columns=rest,
        target_name=", ".join(wanted),
        target_names=tuple(wanted) if len(ys) > 1 else (),
        notes=tuple(notes),
    )


def _target(y: sheets.Column, task: str, *, alone: bool) -> sheets.Column:
    """A target column: classes are texts as they stand in the file, "NA" and 001 too."""
    if not alone and y.numbers is None and {one.lower() for one in y.texts} <= {"true", "false"}:
        truths = np.array([float(one.lower() == "true") for one in y.texts])
        return y._replace(numbers=truths)
    classes = alone and task in ("auto", "classification", "multilabel")
    if y.numbers is None and classes:
        return y._replace(texts=y.cells)
    amounts = y.style is not None and y.style.unit  # 5 mg and 10 mg are classes, 17.3 mg is not
    few = amounts and len(set(y.texts)) <= FEW and task != "regression"
    if classes and (y.is_code or few):
        return y._replace(texts=y.cells, numbers=None)
    return y
