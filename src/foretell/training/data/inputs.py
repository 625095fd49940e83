"""New files, read as the training data was."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.errors import DataError
from foretell.training.data import folders, frames, images, readers, scaling, sheets


def read_inputs(
    path: str | Path | Sequence[str | Path],
    spec: Mapping[str, Any],
    unread: dict[str, str] | None = None,
) -> tuple[list[str], NDArray[np.float32]]:
    """New examples, normalised and ready for a network that was trained on data of this `spec`.

    Args:
        path: an image or a folder of images, a .npz file with an array `x`, or a .csv file that
            has the columns of training (the target may be absent); or several of them.
        spec: `Data.input_spec()`.
        unread: takes names of broken images in a folder, and what is wrong with each; None to
            raise for them.

    Shapes: returns names (n,) and float32 (n, *spec["shape"]).

    Raises:
        DataError: the file does not hold such inputs; the message says what was expected.
    """
    if not isinstance(path, (str, Path)):
        return _several(list(path), spec, unread)
    path = readers.existing(Path(path).expanduser())
    shape = tuple(spec["shape"])
    lower = path.name.lower()
    mean, std = np.array(spec["mean"]), np.array(spec["std"])
    if lower.endswith(sheets.SUFFIXES) and len(shape) == 1:
        names, x = _rows(path, spec["columns"], shape)
    elif lower.endswith(".npz"):
        names, x = _npz(path, spec)
    elif len(shape) == 3 and (path.is_dir() or images.is_image(path)):
        files = folders.image_paths(path)
        if shape[0] not in (1, 3) or spec["scale"] is None:
            raise DataError(
                f"cannot read {path} as an input",
                expected=f"a .npz with numbers {shape}",
                got="an image",
            )
        bad = images.broken(files)
        if bad and unread is not None and len(bad) < len(files):
            unread |= {_name(file, path): why for file, why in bad.items()}
            files = [file for file in files if file not in bad]
        x = images.read_files(files, shape[1:], shape[0], _levels(spec)).x
        names = [_name(file, path) for file in files]
    else:
        tables = "a .csv or .npz file" if len(shape) == 1 else "a .npz file"
        kinds = tables if len(shape) < 3 else "an image, a folder of them or a .npz"
        raise DataError(
            f"cannot tell what {path} is", expected=kinds, got=f"ending {path.suffix!r}"
        )
    if x.shape[1:] != shape:
        wanted = ", ".join(map(str, ("n", *shape)))
        raise DataError(f"inputs of {path}", expected=f"shape ({wanted})", got=f"shape {x.shape}")
    if x.dtype == np.uint8:
        if spec["scale"] is None:
            raise DataError(f"inputs of {path}", expected="floating-point numbers", got="bytes")
        x = x / np.float32(spec["scale"])
    elif spec["bytes"]:
        x = _of_bytes(x, f"inputs of {path}") / np.float32(spec["scale"])
    return names, scaling.normalised(x, mean, std, names.__getitem__)


def _several(
    paths: Sequence[str | Path], spec: Mapping[str, Any], unread: dict[str, str] | None
) -> tuple[list[str], NDArray[np.float32]]:
    """Files behind each other; a broken one is left out where others are not."""
    names: list[str] = []
    parts: list[NDArray[np.float32]] = []
    errors: list[DataError] = []
    for path in paths:
        try:
            some, x = read_inputs(path, spec, unread)
        except DataError as error:
            if unread is None or not images.is_image(Path(path)):
                raise
            unread[str(path)] = str(error)
            errors.append(error)
            continue
        names += some if len(some) == 1 and len(paths) == 1 else _under(path, some)
        parts.append(x)
    if not parts:
        raise errors[0] if errors else DataError("nothing to predict", expected="a file")
    return names, np.concatenate(parts)


def _under(path: str | Path, names: list[str]) -> list[str]:
    """Names of the examples of one file among several."""
    if len(names) == 1 and names[0] == Path(path).name:
        return [str(path)]
    return [f"{path}: {name}" for name in names]


def _levels(spec: Mapping[str, Any]) -> images.Levels | None:
    """Black and white of files with more than 8 bits; older networks have white alone."""
    if spec.get("levels"):
        black, white = spec["levels"]
        return black, white
    return (0.0, spec["white"]) if spec.get("white") else None


def _name(file: Path, path: Path) -> str:
    return str(file.relative_to(path)) if path.is_dir() else file.name


def raw_inputs(x: object, spec: Mapping[str, Any]) -> NDArray[Any]:
    """Arrays of new examples, laid out as those of training were, and not normalised.

    Args:
        x: anything that training takes as inputs.
        spec: `Data.input_spec()`.

    Shapes: returns (n, *spec["shape"]).

    Raises:
        DataError: the inputs do not fit.
    """
    shape = tuple(spec["shape"])
    if frames.is_frame(x):
        if spec.get("columns") is None:
            x = np.asarray(x)
        else:
            return sheets.features(sheets.of_frame(x), spec["columns"])
    array = readers.as_array(x, "inputs")
    found = readers.as_inputs(array, "inputs", _layout(array.shape, spec))
    if found.shape[1:] != shape:
        wanted = ", ".join(map(str, ("n", *shape)))
        raise DataError("inputs", expected=f"shape ({wanted})", got=f"shape {found.shape}")
    if found.dtype == np.uint8 and not spec["bytes"]:
        if spec["scale"] is None:
            raise DataError("inputs", expected="floating-point numbers", got="bytes")
        found = found / np.float32(spec["scale"])
    elif spec["bytes"] and found.dtype != np.uint8:
        found = _of_bytes(found, "inputs")
    return found


def _of_bytes(x: NDArray[Any], label: str) -> NDArray[Any]:
    """Floats for a network that was trained on bytes: 0 to 255, or 0 to 1 where none is above.

    Raises: DataError where they are neither.
    """
    low, high = float(x.min()), float(x.max())
    if low < 0 or high > 255:
        raise DataError(
            label,
            expected="pixels from 0 to 255, or from 0 to 1",
            got=f"numbers from {low:.4g} to {high:.4g}",
            hint="give them as they were before they were normalised",
        )
    return x * np.float32(255) if high <= 1 else x


def _rows(
    path: Path, columns: Sequence[dict[str, Any]] | None, shape: tuple[int, ...]
) -> tuple[list[str], NDArray[Any]]:
    sheet = sheets.read_csv(path)
    if columns is None:  # trained on an array: the file's columns in their order
        columns = [{"name": column.name, "fill": math.nan} for column in sheet.columns]
    x = sheets.features(sheet.columns, columns)
    gap = np.isnan(x).any(axis=1)
    if gap.any():
        line = sheet.lines[int(np.argmax(gap))]
        raise DataError(
            f"line {line} of {path}", expected=f"{shape[0]} numbers", got="a missing one"
        )
    return [f"line {line}" for line in sheet.lines], x


def _npz(path: Path, spec: Mapping[str, Any]) -> tuple[list[str], NDArray[Any]]:
    arrays = readers.read_npz(path)
    found = [key for key in ("x", "X", "images", "data", "x_test") if key in arrays]
    if not found and len(arrays) != 1:
        raise DataError(
            f"arrays of {path}", expected="one named x", got=", ".join(arrays) or "none"
        )
    key = found[0] if found else next(iter(arrays))
    x = readers.as_inputs(arrays[key], f"{key} of {path}", _layout(arrays[key].shape, spec))
    return [f"{key}[{i}]" for i in range(len(x))], x


def _layout(shape: tuple[int, ...], spec: Mapping[str, Any]) -> str:
    """Where an array has its channels: as that of training had, or where its shape allows no other
    place."""
    wanted = tuple(spec["shape"])
    if (len(wanted), len(shape)) == (3, 3):
        return "grey"
    known = str(spec.get("layout", "auto"))
    known = "channels-first" if known == "grey" else known
    fits = {"channels-first": shape[1:], "channels-last": (*shape[-1:], *shape[1:-1])}
    others = [one for one, found in fits.items() if found == wanted]
    return others[0] if known != "auto" and others and known not in others else known
