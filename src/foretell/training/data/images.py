"""Image files: one file to an array, a folder of class sub-folders to a batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from foretell.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
LARGEST = 128  # pixels a side, unless the caller asks for more: a search trains many networks
_PARTS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_GREY_MODES = ("1", "L", "LA", "La", "I", "F")
_THREADS = 4


class Folder(NamedTuple):
    """A folder of images as arrays, in the order train, val, test, then class, then file name.

    Shapes: `x` (n, channels, height, width) uint8; `y` (n,) class names.
    """

    x: NDArray[np.uint8]
    y: NDArray[np.str_]
    names: list[str]
    parts: dict[str, int]
    notes: tuple[str, ...]


def read_folder(root: Path, image_size: tuple[int, int] | None) -> Folder:
    """All images under `root/CLASS/` or `root/{train,val,test}/CLASS/`.

    Args:
        root: the folder.
        image_size: (height, width) in pixels to which all are resized; None for the median size,
            at most 128 a side.

    Raises:
        DataError: no images, images outside of class folders, a file that is no image.
    """
    parts = _part_folders(root)
    files: list[Path] = []
    classes: list[str] = []
    sizes: dict[str, int] = {}
    other: Counter[str] = Counter()
    for part, folder in parts.items():
        before = len(files)
        for sub in _sub_folders(folder):
            for path in sorted(_visible(sub.rglob("*"))):
                if path.suffix.lower() in SUFFIXES:
                    files.append(path)
                    classes.append(sub.name)
                elif path.is_file():
                    other[path.suffix.lower() or path.name] += 1
        sizes[part] = len(files) - before
        if not sizes[part]:
            raise _no_images(folder, other)
    ignored = ", ".join(f"{count} {suffix}" for suffix, count in sorted(other.items()))
    notes = [f"files that are no images were left out: {ignored}"] if other else []
    x, more = read_files(files, image_size)
    return Folder(
        x,
        np.array(classes),
        [str(path.relative_to(root)) for path in files],
        sizes if len(parts) > 1 else {},
        (*notes, *more),
    )


def read_files(
    files: Sequence[Path], image_size: tuple[int, int] | None, channels: int | None = None
) -> tuple[NDArray[np.uint8], list[str]]:
    """Image files as one uint8 array (n, channels, height, width), and notes on what was done.

    Args:
        files: at least one path.
        image_size: (height, width) in pixels; None for the median, at most 128 a side.
        channels: 1 (grey) or 3 (RGB); None to decide from the files.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        headers = list(pool.map(_header, files))
        notes = []
        undecided = channels is None
        channels = channels or (1 if all(grey for *_, grey in headers) else 3)
        found = np.array([header[:2] for header in headers])
        height, width = image_size or _common_size(found)
        if (found != (height, width)).any():
            low, high = found.min(axis=0), found.max(axis=0)
            notes.append(
                f"resized to {width} x {height} pixels (files have {low[1]} x {low[0]} "
                f"to {high[1]} x {high[0]})"
            )
        x = np.empty((len(files), channels, height, width), dtype=np.uint8)

        def fill(i: int) -> None:
            x[i] = read_image(files[i], channels, (height, width))

        for _ in pool.map(fill, range(len(files))):
            pass
    if undecided and channels == 3 and _all_grey(x):
        x = np.ascontiguousarray(x[:, :1])
        notes.append("stored as RGB, but all pixels are grey: one channel is used")
    return x, notes


def read_image(path: Path, channels: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """One image file as uint8 (channels, height, width): upright, on white where transparent."""
    try:
        with Image.open(path) as opened:
            opened.draft("RGB" if channels == 3 else "L", (2 * size[1], 2 * size[0]))
            image = _opaque(ImageOps.exif_transpose(opened))
            image = image.convert("RGB" if channels == 3 else "L")
            if image.size != size[::-1]:
                image = image.resize(size[::-1], Image.Resampling.BILINEAR)
            pixels = np.asarray(image, dtype=np.uint8)
    except Exception as error:
        raise _broken(path, error) from error
    return pixels.transpose(2, 0, 1) if channels == 3 else pixels[None]


def image_paths(path: Path) -> list[Path]:
    """The image file `path`, or all images below the folder `path`, sorted."""
    if path.is_file():
        return [path]
    found = sorted(p for p in _visible(path.rglob("*")) if p.suffix.lower() in SUFFIXES)
    if not found:
        raise DataError(f"no image in {path}", expected="files " + ", ".join(SUFFIXES))
    return found


def _header(path: Path) -> tuple[int, int, bool]:
    try:
        with Image.open(path) as image:
            return image.height, image.width, image.mode.split(";")[0] in _GREY_MODES
    except Exception as error:
        raise _broken(path, error) from error


def _opaque(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits a pixel; convert("L") would clip at 255
        deep = np.asarray(image).astype(np.float64)
        return Image.fromarray(np.clip(deep / 257, 0, 255).round().astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        colour = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", colour.size, "white"), colour)
    return image


def _all_grey(x: NDArray[np.uint8]) -> bool:
    return all(
        np.array_equal(one[0], one[1]) and np.array_equal(one[0], one[2])
        for one in x  # stops at the first image with a colour
    )


def _common_size(found: NDArray[np.int64]) -> tuple[int, int]:
    height, width = np.median(found, axis=0)
    shrink = min(1.0, LARGEST / max(height, width))
    return max(1, round(height * shrink)), max(1, round(width * shrink))


def _part_folders(root: Path) -> dict[str, Path]:
    folders = _sub_folders(root)
    named = {folder.name.lower(): folder for folder in folders}
    if not ({"train", "training"} & set(named) and set(named) <= set(_PARTS)):
        return {"train": root}
    parts = {_PARTS[name]: folder for name, folder in named.items()}
    if len(parts) < len(named):
        raise DataError(f"{root} has two folders for one split", got=", ".join(sorted(named)))
    return {part: parts[part] for part in ("train", "val", "test") if part in parts}


def _sub_folders(folder: Path) -> list[Path]:
    return sorted(path for path in _visible(folder.iterdir()) if path.is_dir())


def _visible(paths: Iterable[Path]) -> Iterable[Path]:
    return (path for path in paths if not path.name.startswith((".", "__")))


def _no_images(folder: Path, other: Counter[str]) -> DataError:
    loose = [p for p in _visible(folder.iterdir()) if p.suffix.lower() in SUFFIXES]
    if loose:
        return DataError(
            f"images in {folder} lie outside of class folders",
            expected="a folder for each class",
            got=f"{len(loose)} loose, such as {loose[0].name}",
            hint=f"move them: {folder.name}/CLASS/{loose[0].name}",
        )
    return DataError(
        f"no images in {folder}",
        expected=f"class folders with files {', '.join(SUFFIXES)}",
        got=", ".join(f"{n} {suffix}" for suffix, n in sorted(other.items())) or "nothing",
    )


def _broken(path: Path, error: Exception) -> DataError:
    reason = " ".join(str(error).split())[:160] or type(error).__name__
    return DataError(
        f"cannot read the image {path}",
        expected="a whole " + ", ".join(SUFFIXES) + " file",
        got=reason,
        hint="delete or replace this file",
    )
