"""Own data in: any source to arrays, split once from the seed, normalised by the training part."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from foretell._rng import stream
from foretell.errors import DataError, SettingError
from foretell.training.data import readers, scaling, sheets, targets

_SPILL = 1 << 20  # bytes; smaller arrays travel inside the pickle
_THINGS = {
    "classification": ("class", "classes"),
    "regression": ("target", "targets"),
    "multilabel": ("label", "labels"),
}
_MOST_COUNTED = 1000  # classes whose rows are counted in a description
_KINDS = {2: "features", 3: "signal"}
_SHOWN = 20  # columns that one line names
_ARRAYS = ("x", "y", "index")


class Reading(TypedDict, total=False):
    """How a source is to be read: those arguments of `load` that are the user's to say."""

    target: str | None
    task: str
    image_size: int | tuple[int, int] | None
    drop: Sequence[str]
    layout: str
    fractions: Sequence[float]


@dataclass(frozen=True, eq=False)
class Data:
    """Examples, targets and their split; what `load` returns.

    Images of bytes stay uint8 in `x` and are normalised a batch at a time; everything else is
    normalised already.

    Args:
        name: what the data is called in reports.
        task: "classification", "regression" or "multilabel".
        x: inputs of all splits, (n, channels, height, width), (n, channels, length) or
            (n, features).
        y: class numbers (n,) int64, standardised targets (n, n_outputs) float32, or labels from 0
            to 1, (n, n_outputs) float32.
        index: row numbers, first those of train, then val, then test, (n,).
        sizes: how many rows each of the three has.
        labels: names of classes or labels; empty for regression.
        mean: of each channel or feature over the training rows; bytes count as 0 to 1.
        std: likewise.
        target_mean: of each regression target over the training rows, in its own unit.
        target_std: likewise.
        digest: sha256 over the content as it came, and the split.
        about: further facts for `describe`.
        spec: further facts for `input_spec`.
        names: of the test rows, where they come from; not sent to workers.
    """

    name: str
    task: targets.Task
    x: NDArray[Any]
    y: NDArray[Any]
    index: NDArray[np.int64]
    sizes: tuple[int, int, int]
    labels: tuple[str, ...]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    target_mean: NDArray[np.float64]
    target_std: NDArray[np.float64]
    digest: str
    about: Mapping[str, Any] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    _files: Mapping[str, str] = field(default_factory=dict)  # arrays that live in .npy files

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one example: (channels, height, width), (channels, length) or (features,)."""
        return tuple(int(size) for size in self.x.shape[1:])

    @property
    def n_outputs(self) -> int:
        """Number of classes, of labels or of regression targets."""
        return len(self.labels) if self.labels else int(self.y.shape[1])

    @property
    def split(self) -> dict[str, NDArray[np.int64]]:
        """Row numbers of "train", "val" and "test"."""
        train, val, test = np.split(self.index, np.cumsum(self.sizes)[:2])
        return {"train": train, "val": val, "test": test}

    def describe(self) -> dict[str, Any]:
        """What the data is and how it was split, JSON-able; equal digests mean equal content."""
        return {
            "name": self.name,
            "task": self.task,
            "input_shape": list(self.input_shape),
            "n_outputs": self.n_outputs,
            "labels": list(self.labels),
            "sizes": dict(zip(("train", "val", "test"), self.sizes, strict=True)),
            "split_digest": _sha(self.index)[:16],
            "digest": self.digest,
            **self.about,
        }

    def lines(self) -> list[str]:
        """What was read, in words: a line with counts, then all that was decided or left out.

        >>> load("digits").lines()[0]
        'digits: 1,797 examples (train 1,257, val 270, test 270), 10 classes, inputs 1 x 8 x 8'
        """
        sizes = zip(("train", "val", "test"), self.sizes, strict=True)
        parts = ", ".join(f"{part} {size:,}" for part, size in sizes)
        one, many = _THINGS[self.task]
        kind = one if self.n_outputs == 1 else many
        shape = " x ".join(map(str, self.input_shape))
        first = f"{self.name}: {sum(self.sizes):,} examples ({parts}), {self.n_outputs} {kind}, "
        columns: list[dict[str, str]] = self.about.get("columns") or []
        said = []
        for kind in ("number", "text", "left out"):
            some = [one for one in columns if one["as"] == kind]
            words = [f"{one['name']} ({one['note']})" if one["note"] else one["name"]
                     for one in some[:_SHOWN]]  # fmt: skip
            more = f", and {len(some) - _SHOWN} more" if len(some) > _SHOWN else ""
            said += [f"{len(some)} columns as {kind}: {', '.join(words)}{more}"] * bool(some)
        return [f"{first}inputs {shape}", *self.about.get("notes", ()), *said]

    def input_spec(self) -> dict[str, Any]:
        """All that `read_inputs` needs to read new files, and to name what a network says of them.

        JSON-able: "task", "shape", "mean", "std", "labels"; "target" (mean, std and name of the
        regression targets); "scale" (what bytes are divided by, None if they are refused);
        "columns" (of a table: {"name", "fill"} for numbers, {"name", "values"} for texts).
        """
        return {
            "task": self.task,
            "shape": list(self.input_shape),
            "mean": self.mean.tolist(),
            "std": self.std.tolist(),
            "labels": list(self.labels),
            **self.spec,
            "target": {
                "name": self.spec.get("target", ""),
                "mean": self.target_mean.tolist(),
                "std": self.target_std.tolist(),
            },
        }

    def spill(self, folder: str | Path) -> Data:
        """The same data with arrays above 1 MB in `.npy` files, so that it pickles as paths.

        Workers then map the files into memory and share one copy.

        Args:
            folder: where the files go; made if absent. Files of equal content are kept.
        """
        folder = Path(folder)
        files = {}
        for key in _ARRAYS:
            array = getattr(self, key)
            if array.nbytes > _SPILL:
                path = (folder / f"{key}-{self.digest[:16]}.npy").absolute()
                _write(path, array)
                files[key] = str(path)
        mapped: dict[str, Any] = {key: _open(path) for key, path in files.items()}
        return replace(self, _files=files, **mapped)

    def __getstate__(self) -> dict[str, Any]:
        state = {key: value for key, value in vars(self).items() if key not in self._files}
        return {**state, "names": ()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        vars(self).update({key: _open(path) for key, path in self._files.items()})


def load(
    source: object,
    *,
    seed: int = 0,
    fractions: Sequence[float] = (0.7, 0.15, 0.15),
    target: str | None = None,
    task: str = "auto",
    name: str | None = None,
    image_size: int | tuple[int, int] | None = None,
    drop: Sequence[str] = (),
    layout: str = "auto",
) -> Data:
    """Read a source, split it once, and learn the normalisation from the training part alone.

    Args:
        source: "digits"; a folder of images in class folders (below train/, val/ and test/ if it
            has its own splits); a .npz file (x, y, or x_train, y_train, x_test, y_test and maybe
            x_val, y_val); a .csv file; arrays `(X, y)`, or by name as in a .npz; a map-style
            torch Dataset of (x, y), or `(train, test)` or `(train, val, test)` of them. Splits
            that the source has are kept.
        seed: of the split. Classes are spread evenly over the splits.
        fractions: shares of train, val and test; for the splits to make, in proportion.
        target: the .csv column to predict, or several with commas; None for the last one.
        task: "classification", "regression", "multilabel" (several labels for each example), or
            "auto": text and few different whole numbers are classes, rows of 0 and 1 are labels.
        name: what it is called; None for the file's name.
        drop: columns of a .csv to leave out.
        layout: where arrays have their channels: "channels-first", "channels-last", or "grey" for
            (n, height, width); "auto" where the shape says it.
        image_size: height and width in pixels for a folder; None for the median, at most 128.

    Raises:
        DataError: the source's content is not usable; the message names the file, row or column.
        SettingError: a setting is not valid.

    >>> data = load("digits")
    >>> data.input_shape, data.n_outputs, data.sizes
    ((1, 8, 8), 10, (1257, 270, 270))
    """
    if isinstance(source, Data):
        return source
    shares = _fractions(fractions)
    raw = readers.read(source, target, _image_size(image_size), task, tuple(drop), layout)
    is_table = raw.x is None
    images = raw.x is not None and raw.x.ndim == 4
    found = targets.read(raw.y, task, images=images, where=raw.where, names=raw.target_names)
    y = found.y
    if found.task == "classification":
        targets.check_counts(y, found.labels, raw.parts, raw.where)
    index, sizes = targets.split(y, shares, raw.parts, stream(seed, "split"))
    train = index[: sizes[0]]

    notes = [*raw.notes, found.note, _unseen(found, train)]
    columns: list[dict[str, Any]] | None = None
    x = raw.x
    if x is None:
        columns, note = sheets.fit(raw.columns, train)
        x = sheets.features(raw.columns, columns)
        notes.append(note)
    digest = _sha(x, y, index, *found.labels, *(str(column) for column in columns or ()))
    scale = 255.0 if images and (x.dtype == np.uint8 or _is_unit(x)) else None
    one_hot = None if columns is None else sheets.is_one_hot(columns)
    x, mean, std = scaling.inputs(x, train, one_hot, raw.where)
    target_mean = target_std = np.zeros(0)
    if found.task == "regression":
        y, target_mean, target_std = scaling.targets(y, train, raw.where)
    return Data(
        name=name or raw.name,
        task=found.task,
        x=x,
        y=y,
        index=index,
        sizes=sizes,
        labels=found.labels,
        mean=mean,
        std=std,
        target_mean=target_mean,
        target_std=target_std,
        digest=digest,
        about={
            "seed": seed,
            "fractions": list(shares),
            "own_splits": sorted(raw.parts),
            "target": raw.target_name,
            "notes": [note for note in notes if note],
            "counts": _counts(found, index, sizes),
            "columns": None if columns is None else sheets.taken(raw.columns, columns),
        },
        spec={
            "scale": scale,
            "layout": raw.layout,
            "levels": raw.levels and list(raw.levels),
            "bytes": bool(x.dtype == np.uint8),
            "columns": columns,
            "target": raw.target_name,
            "kind": "table" if is_table else "image" if images else _KINDS[x.ndim],
        },
        names=tuple(raw.where(int(i)) for i in index[sizes[0] + sizes[1] :]),
    )


def _unseen(found: targets.Targets, train: NDArray[np.int64]) -> str:
    """A note on labels that no training example has."""
    if found.task != "multilabel":
        return ""
    there = (found.y[train] >= 0.5).any(axis=0)
    never = [found.labels[k] for k in np.flatnonzero(~there)]
    return f"no training example has the label {', '.join(never[:20])}" if never else ""


def _counts(
    found: targets.Targets, index: NDArray[np.int64], sizes: tuple[int, int, int]
) -> dict[str, list[int]]:
    """Rows of each class or label in each split; of at most 1,000."""
    n = len(found.labels)
    if not 0 < n <= _MOST_COUNTED:
        return {}
    rows = np.split(found.y[index], np.cumsum(sizes)[:2])
    each = [np.bincount(y, minlength=n) if y.ndim == 1 else (y >= 0.5).sum(axis=0) for y in rows]
    return dict(zip(found.labels, np.stack(each, axis=1).tolist(), strict=True))


def _fractions(fractions: Sequence[float]) -> tuple[float, float, float]:
    try:
        train, val, test = (float(value) for value in fractions)
    except (TypeError, ValueError):
        train = val = test = math.nan
    if not (min(train, val, test) > 0 and abs(train + val + test - 1) < 1e-6):
        raise SettingError(
            "fractions", expected="three positive shares that sum to 1", got=fractions
        )
    return train, val, test


def _image_size(size: object) -> tuple[int, int] | None:
    pair = (size, size) if isinstance(size, int) else size
    if pair is None:
        return None
    if isinstance(pair, (tuple, list)) and len(pair) == 2:
        height, width = pair
        if isinstance(height, int) and isinstance(width, int) and min(height, width) >= 1:
            return height, width
    raise SettingError("image_size", expected="pixels, or (height, width) in pixels", got=size)


def _is_unit(x: NDArray[Any]) -> bool:
    return bool(x.min() >= 0 and x.max() <= 1)


def _sha(*parts: NDArray[Any] | str) -> str:
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            total.update(json.dumps(part).encode())
        else:
            total.update(f"{part.dtype.str}{part.shape}".encode())
            total.update(np.ascontiguousarray(part).data.cast("B"))
    return total.hexdigest()


def _write(path: Path, array: NDArray[Any]) -> None:
    if path.is_file():
        try:
            if np.array_equal(np.load(path, mmap_mode="r", allow_pickle=False), array):
                return
        except (ValueError, OSError):
            pass  # torn by an earlier kill: write it again
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)  # a link there would lead elsewhere
    with part.open("xb") as file:
        np.save(file, array, allow_pickle=False)
    part.replace(path)


def _open(path: str) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(
            f"cannot read the data file {path}", got=str(error), hint="load the data again"
        ) from error
    return array
