"""Every kind of source to one `Raw`: digits, folder, .npz, .csv, arrays, torch datasets."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.errors import DataError, SettingError
from foretell.training.data import folders, images, layouts, sheets, splits

Array = NDArray[Any]
_SOURCES = "'digits', a folder of class folders, a .npz or .csv file, (X, y), or a torch Dataset"
_TWICE = 16  # examples of a Dataset that are read twice, to see random transforms
_INPUTS = ("x", "images", "image", "data", "inputs", "features")
_TARGETS = ("y", "labels", "label", "targets", "target")


@dataclass(frozen=True)
class Raw:
    """A source as it came, all splits behind each other.

    Shapes: `x` (n, channels, height, width) uint8 or float32, or (n, features) float64, or None
    where `columns` hold the inputs; `y` (n,) or (n, targets).
    """

    name: str
    x: Array | None
    y: Array
    where: Callable[[int], str]  # names row i in errors
    parts: Mapping[str, int] = field(default_factory=dict)  # sizes of the source's own splits
    columns: tuple[sheets.Column, ...] = ()
    target_name: str = ""
    target_names: tuple[str, ...] = ()  # where there are several
    notes: tuple[str, ...] = ()
    layout: str = "auto"  # where arrays have their channels
    white: float | None = None  # of image files with more than 8 bits


def read(
    source: object,
    target: str | None,
    image_size: tuple[int, int] | None,
    task: str = "auto",
    drop: Sequence[str] = (),
    layout: str = "auto",
) -> Raw:
    """Parse any source; see `foretell.training.data.load`."""
    if isinstance(source, str) and source == "digits":
        return _digits()
    if isinstance(source, (str, Path)):
        return _path(Path(source).expanduser(), target, image_size, task, drop, layout)
    if isinstance(source, (tuple, list)) and source and all(map(_is_dataset, source)):
        if len(source) > 3:
            raise DataError(
                "datasets", expected="(train, test) or (train, val, test)", got=len(source)
            )
        names = splits.PARTS if len(source) == 3 else ("train", "test")[: len(source)]
        pairs = {k: _dataset(d, k) for k, d in zip(names, source, strict=True)}
        return _blocks("dataset", pairs, layout=layout)
    if isinstance(source, (tuple, list)) and len(source) == 2:
        return _blocks("arrays", {"train": (source[0], source[1])}, layout=layout)
    if isinstance(source, Mapping):  # a Bunch of scikit-learn is one
        arrays = {key: value for key, value in source.items() if isinstance(value, np.ndarray)}
        if {"images", "data", "target"} <= set(arrays):
            del arrays["data"]  # the same, flattened
        return _named(arrays, "arrays", "", layout)
    if _is_dataset(source):
        return _blocks("dataset", {"train": _dataset(source, "dataset")}, layout=layout)
    raise DataError("data source", expected=_SOURCES, got=type(source).__name__)


def as_inputs(value: object, label: str, layout: str = "auto") -> Array:
    """`value` as (n, channels, height, width) uint8 or float32, (n, channels, length) float32, or
    (n, features) float64.

    Args:
        value: anything that numpy takes as an array of numbers.
        label: what it is called in errors.
        layout: where its channels are, see `layouts.settle`.
    """
    x = as_array(value, label)
    if x.dtype.kind == "O":
        try:
            x = x.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(
                label, expected="numbers", got=str(error), hint="tables with text go through .csv"
            ) from error
    if x.dtype.kind not in "biuf":
        raise DataError(label, expected="an array of numbers", got=f"dtype {x.dtype}")
    if x.ndim not in (2, 3, 4) or 0 in x.shape:
        raise DataError(
            label,
            expected="shape (n, channels, height, width), (n, height, width), "
            "(n, channels, length) or (n, features)",
            got=f"shape {x.shape}",
        )
    settled = layouts.settle(x.shape, x.dtype, layout, label)
    if settled == "grey":
        x = x[:, None]
    elif settled == "channels-last":
        x = np.moveaxis(x, -1, 1)
    if x.ndim == 4 and x.dtype.kind in "iu" and (x.dtype == np.uint8 or _is_byte(x)):
        return np.ascontiguousarray(x, dtype=np.uint8)
    with np.errstate(over="ignore"):
        x = np.ascontiguousarray(x, dtype=np.float64 if x.ndim == 2 else np.float32)
    finite = np.isfinite(x).reshape(len(x), -1).all(axis=1)
    if not finite.all():
        i = int(np.argmin(finite))
        raise DataError(
            f"{label}[{i}]",
            expected="finite numbers",
            got="NaN or infinity",
            hint="fill them in; missing cells of a .csv are filled with the median",
        )
    return x


def as_array(value: object, label: str) -> Array:
    """`value` as an array, or an error that names it."""
    try:
        array = np.asarray(value)
    except Exception as error:
        raise DataError(label, expected="an array", got=_line(error)) from error
    if array.ndim == 0:
        raise DataError(label, expected="an array", got=repr(value)[:80])
    return array


def read_npz(path: Path) -> dict[str, Array]:
    """All arrays of a .npz file; object arrays (pickles) are refused."""
    try:
        with path.open("rb") as handle:
            file = np.load(handle, allow_pickle=False)
            if isinstance(file, np.ndarray):
                raise TypeError("a single .npy array")
            return {key: file[key] for key in file.files}
    except Exception as error:
        raise DataError(
            f"cannot read {path}",
            expected="a .npz file of plain numeric arrays",
            got=_line(error),
            hint="write it with numpy.savez(path, x=x, y=y); objects cannot be read safely",
        ) from error


def existing(path: Path) -> Path:
    """`path` if it exists, else an error that says where was looked."""
    try:
        found = path.exists()
    except OSError:  # a name that the file system does not take
        found = False
    if not found:
        raise DataError(f"no file or folder {str(path)[:200]!r}", expected=_SOURCES)
    return path


def _digits() -> Raw:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x = (bunch.images[:, None] / 16).astype(np.float32)
    return Raw("digits", x, bunch.target, lambda i: f"digit {i}")


def _path(
    path: Path,
    target: str | None,
    image_size: tuple[int, int] | None,
    task: str,
    drop: Sequence[str],
    layout: str,
) -> Raw:
    existing(path)
    if path.is_dir():
        try:
            found = folders.find(path)
            pixels = images.read_files(found.files, image_size)
        except (OSError, MemoryError) as error:
            raise DataError(
                f"cannot read the folder {path}",
                got=_line(error),
                hint="check its permissions, or ask for smaller images with image_size",
            ) from error
        return Raw(
            path.resolve().name,
            pixels.x,
            np.array(found.classes),
            lambda i: str(found.files[i].relative_to(path)),
            found.sizes,
            notes=(*found.notes, *pixels.notes),
            white=pixels.white,
        )
    name = path.name.lower()
    if name.endswith(".npz"):
        return _npz(path, layout)
    if name.endswith(sheets.SUFFIXES):
        return _csv(path, target, task, drop)
    raise DataError(f"cannot tell what {path} is", expected=_SOURCES, got=f"ending {path.suffix!r}")


def _npz(path: Path, layout: str) -> Raw:
    return _named(read_npz(path), path.stem, str(path), layout)


def _named(arrays: Mapping[str, Array], name: str, origin: str, layout: str) -> Raw:
    """Inputs and targets by the names of arrays."""
    of = f" of {origin}" if origin else ""
    found: dict[str, dict[str, list[str]]] = {}  # of each split, the names of inputs and targets
    for key in arrays:
        said = _role(key)
        if said is not None:
            part, role = said
            found.setdefault(part, {}).setdefault(role, []).append(key)
    twice = [names for roles in found.values() for names in roles.values() if len(names) > 1]
    if twice:
        raise DataError(
            f"arrays{of}", expected="one of each kind", got=", ".join(twice[0]),
            hint="save the arrays of one data set, without the others",
        )  # fmt: skip
    keys = {
        part: (found[part]["x"][0], found[part]["y"][0])
        for part in splits.PARTS
        if len(found.get(part, ())) == 2
    }
    if "train" not in keys:
        raise DataError(
            f"arrays{of}",
            expected="x and y, or x_train, y_train, x_test and y_test (x_val and y_val too)",
            got=", ".join(arrays) or "none",
        )
    left = sorted(set(arrays) - {key for pair in keys.values() for key in pair})
    pairs = {part: (arrays[x], arrays[y]) for part, (x, y) in keys.items()}
    raw = _blocks(name, pairs, origin, keys, layout)
    notes = []
    if len(keys) > 1:
        said_sizes = ", ".join(f"{part} {size}" for part, size in raw.parts.items())
        notes.append(f"the arrays have splits of its own: {said_sizes}")
    if left:
        notes.append(f"arrays left out: {', '.join(left)}")
    return replace(raw, notes=(*raw.notes, *notes))


def _role(key: str) -> tuple[str, str] | None:
    """The split of an array, and whether it has the inputs ("x") or the targets ("y").

    >>> _role("x_valid"), _role("test_labels"), _role("X"), _role("yTrain"), _role("groups")
    (('val', 'x'), ('test', 'y'), ('train', 'x'), ('train', 'y'), None)
    """
    word = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).lower()
    for role, names in (("x", _INPUTS), ("y", _TARGETS)):
        for name in sorted(names, key=len, reverse=True):
            if word == name:
                return "train", role
            if word.startswith(name):
                said = splits.split_of(word.removeprefix(name).strip("_-. "))
            elif word.endswith(name):
                said = splits.split_of(word.removesuffix(name).strip("_-. "))
            else:
                continue
            if said is not None and not said[1]:
                return said[0], role
    return None


def _csv(path: Path, target: str | None, task: str, drop: Sequence[str]) -> Raw:
    columns, lines = sheets.read_csv(path)
    names = [column.name for column in columns]
    foreign = [name for name in drop if name not in names]
    if foreign:
        raise SettingError(
            f"no column {foreign[0]!r} to drop in {path}", expected="some of " + ", ".join(names)
        )
    columns = tuple(column for column in columns if column.name not in drop)
    names = [column.name for column in columns]
    wanted = [names[-1]] if target is None else [target]
    if target is not None and target not in names:
        wanted = [word.strip() for word in target.split(",")]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise SettingError(
            f"no target column {unknown[0]!r} in {path}", expected="one of " + ", ".join(names)
        )
    ys = [columns[names.index(name)] for name in wanted]

    def where(i: int) -> str:
        return f"line {lines[i]} of {path}"

    ys = [_target(y, task, alone=len(ys) == 1) for y in ys]
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
            f"{path} has one column only", expected="features and a target", got=names[0]
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
        path.name.split(".")[0],
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
    classes = alone and task in ("auto", "classification", "multilabel")
    if y.numbers is None and classes:
        return y._replace(texts=y.cells)
    if y.is_code and classes:
        return y._replace(texts=y.cells, numbers=None)
    return y


def _blocks(
    name: str,
    pairs: Mapping[str, tuple[object, object]],
    origin: str = "",
    keys: Mapping[str, tuple[str, str]] | None = None,
    layout: str = "auto",
) -> Raw:
    """One `Raw` of (x, y) blocks, checked against each other."""
    if keys is None:
        keys = {part: (f"x_{part}", f"y_{part}") for part in pairs}
        keys = keys if len(pairs) > 1 else dict.fromkeys(pairs, ("X", "y"))
    suffix = f" of {origin}" if origin else ""
    xs: list[Array] = []
    ys: list[Array] = []
    note = ""
    for part, (x, y) in pairs.items():
        x_name, y_name = keys[part]
        if not xs:
            first = as_array(x, x_name + suffix)
            settled = layouts.settle(first.shape, first.dtype, layout, x_name + suffix)
            note = layouts.note(first.shape, settled) if layout == "auto" else ""
            layout = settled
        xs.append(as_inputs(x, x_name + suffix, layout))
        ys.append(as_array(y, y_name + suffix))
        if len(xs[-1]) != len(ys[-1]):
            raise DataError(
                f"{x_name} and {y_name}{suffix}",
                expected="as many targets as inputs",
                got=f"{len(xs[-1])} and {len(ys[-1])}",
            )
        if xs[-1].shape[1:] != xs[0].shape[1:] or ys[-1].shape[1:] != ys[0].shape[1:]:
            raise DataError(
                f"{x_name}{suffix} differs from the first",
                expected=f"inputs {xs[0].shape[1:]}, targets {ys[0].shape[1:]}",
                got=f"{xs[-1].shape[1:]}, {ys[-1].shape[1:]}",
            )
    if len({x.dtype for x in xs}) > 1:
        raise DataError(
            f"inputs{suffix}",
            expected="one type of number",
            got=", ".join(str(x.dtype) for x in xs),
        )
    notes = (note,) * bool(note)
    if len(xs) == 1:
        return Raw(
            name, xs[0], ys[0], lambda i: f"{x_name}[{i}]{suffix}", notes=notes, layout=layout
        )
    starts = np.cumsum([0] + [len(x) for x in xs])

    def where(i: int) -> str:
        block = int(np.searchsorted(starts, i, side="right")) - 1
        return f"{keys[list(pairs)[block]][0]}[{i - starts[block]}]{suffix}"

    sizes = {part: len(x) for part, x in zip(pairs, xs, strict=True)}
    return Raw(
        name, np.concatenate(xs), np.concatenate(ys), where, sizes, notes=notes, layout=layout
    )


def _is_dataset(source: object) -> bool:
    torch = sys.modules.get("torch")  # a Dataset cannot come without it
    return torch is not None and isinstance(source, torch.utils.data.Dataset)


def _dataset(source: Any, label: str) -> tuple[Array, Array]:
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


def _is_byte(x: Array) -> bool:
    return bool(x.min() >= 0 and x.max() <= 255)


def _what(item: object) -> str:
    return f"{len(item)} values" if isinstance(item, Sequence) else type(item).__name__


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
