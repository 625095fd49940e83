"""Every kind of source to one `Raw`: digits, folder, .npz, .csv, arrays, torch datasets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.errors import DataError
from foretell.training.data import folders, frames, images, layouts, sheets, splits, torch_sets
from foretell.training.data.raw import Raw

Array = NDArray[Any]
_SOURCES = (
    "'digits', a folder of class folders, a .npz or .csv file, (X, y), a DataFrame, or a torch "
    "Dataset"
)
_INPUTS = ("x", "images", "image", "data", "inputs", "features")
_SHORT = {"tr": "train", "va": "val", "te": "test", "ts": "test"}  # Xtr, yte
_TARGETS = ("y", "labels", "label", "targets", "target")


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
    if frames.is_frame(source):
        return frames.of_frame(source, None, target, task, drop)
    if isinstance(source, tuple) and len(source) == 2 and frames.is_frame(source[0]):
        return frames.of_frame(*source, target, task, drop)
    if isinstance(source, (tuple, list)) and source and all(map(torch_sets.is_dataset, source)):
        if len(source) > 3:
            raise DataError(
                "datasets", expected="(train, test) or (train, val, test)", got=len(source)
            )
        names = splits.PARTS if len(source) == 3 else ("train", "test")[: len(source)]
        pairs = {k: torch_sets.read(d, k) for k, d in zip(names, source, strict=True)}
        return _blocks("dataset", pairs, layout=layout)
    if isinstance(source, (tuple, list)) and len(source) == 2:
        return _blocks("arrays", {"train": (source[0], source[1])}, layout=layout)
    if isinstance(source, Mapping):
        return _mapping(source, target, task, drop, layout)
    if torch_sets.is_dataset(source):
        return _blocks("dataset", {"train": torch_sets.read(source, "dataset")}, layout=layout)
    raise DataError("data source", expected=_SOURCES, got=type(source).__name__)


def _mapping(
    source: Mapping[str, Any], target: str | None, task: str, drop: Sequence[str], layout: str
) -> Raw:
    """Arrays, lists, tensors or tables by name; a Bunch of scikit-learn is one."""
    found = {str(key): value for key, value in source.items() if _is_array(str(key), value)}
    if {"images", "data", "target"} <= set(found):
        del found["data"]  # the same, flattened
    pairs = _pairs(found, "")
    x, y = pairs["train"]
    if len(pairs) == 1 and frames.is_frame(found[x]):
        return frames.of_frame(found[x], found[y], target, task, drop)
    return _named(found, "arrays", "", layout)


def _is_array(key: str, value: object) -> bool:
    """Whether it is an array, or a list by the name of one."""
    lists = isinstance(value, (list, tuple)) and _role(key) is not None
    return lists or hasattr(value, "__array__")


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
    if not (path.is_file() or path.is_dir()):  # to open a pipe would never end
        raise DataError(f"{str(path)[:200]!r}", expected=_SOURCES, got="a pipe or device")
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
        table = frames.of_folder(path, target, task, drop)
        if table is not None:
            return table
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
            levels=pixels.levels,
        )
    name = path.name.lower()
    if name.endswith(".npz"):
        return _npz(path, layout)
    if name.endswith(sheets.SUFFIXES):
        return frames.of_file(path, target, task, drop)
    raise DataError(f"cannot tell what {path} is", expected=_SOURCES, got=f"ending {path.suffix!r}")


def _npz(path: Path, layout: str) -> Raw:
    return _named(read_npz(path), path.stem, str(path), layout)


def _named(arrays: Mapping[str, Any], name: str, origin: str, layout: str) -> Raw:
    """Inputs and targets by the names of arrays."""
    keys = _pairs(arrays, f" of {origin}" if origin else "")
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


def _pairs(arrays: Mapping[str, Any], of: str) -> dict[str, tuple[str, str]]:
    """Names of the inputs and targets of each split.

    Raises: DataError where there are none, or several.
    """
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
    return keys


def _role(key: str) -> tuple[str, str] | None:
    """The split of an array, and whether it has the inputs ("x") or the targets ("y").

    >>> _role("x_valid"), _role("test_labels"), _role("X"), _role("yTr"), _role("groups")
    (('val', 'x'), ('test', 'y'), ('train', 'x'), ('train', 'y'), None)
    """
    word = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).lower()
    for role, names in (("x", _INPUTS), ("y", _TARGETS)):
        for name in sorted(names, key=len, reverse=True):
            if word == name:
                return "train", role
            if word.startswith(name):
                rest = word.removeprefix(name).strip("_-. ")
            elif word.endswith(name):
                rest = word.removesuffix(name).strip("_-. ")
            else:
                continue
            said = splits.split_of(_SHORT.get(rest, rest))
            if said is not None and not (said.before or said.after):
                return said.part, role
    return None


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


def _is_byte(x: Array) -> bool:
    return bool(x.min() >= 0 and x.max() <= 255)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
