"""Image files as arrays of one size."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from foretell.errors import DataError

SHOWN = (".png", ".jpg", ".tif", ".gif", ".webp")  # of all that are read, those that errors name
LARGEST = 128  # pixels a side, unless the caller asks for more: a search trains many networks
NARROWEST = 32  # pixels that the shorter side keeps for it
_NAMED = 20  # broken files that an error names
_ORIENTATION = 0x0112  # of EXIF
_NOT_PIXELS = ("BUFR", "GRIB", "HDF5", "WMF", "EPS", "MPEG", "FITS")  # need another program
_GREY_MODES = ("1", "L", "LA", "La", "I", "F")
_THREADS = 4

_NARROW = 0.25  # of the levels of so many bits: where fewer are in use, these alone are kept

T = TypeVar("T")
Levels = tuple[float, float]  # what is black, and what is white


class Pixels(NamedTuple):
    """Images of one size; `levels` are the values of 16-bit and float files that became 0 and 255.

    Shapes: `x` (n, channels, height, width) uint8.
    """

    x: NDArray[np.uint8]
    levels: Levels | None
    notes: tuple[str, ...]


class _Header(NamedTuple):
    size: tuple[int, int]  # (height, width), upright
    mode: str
    frames: bool  # whether it has more than one


def read_files(
    files: Sequence[Path],
    image_size: tuple[int, int] | None,
    channels: int | None = None,
    levels: Levels | None = None,
) -> Pixels:
    """Image files as one array, and notes on what was done.

    Args:
        files: at least one path; all can be read, see `broken`.
        image_size: (height, width) in pixels; None for the median, at most 128 a side, but no
            side below 32 for it.
        channels: 1 (grey) or 3 (RGB); None to decide from the files.
        levels: of files with more than 8 bits; None for 0 and the smallest 2^k - 1 that none
            exceeds, or the range that is in use where it is less than a quarter of that or begins
            below 0.

    Raises:
        DataError: files that are no images; all are named.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        headers = _all(pool, files, _header)
        notes = []
        undecided = channels is None
        channels = channels or (1 if all(_is_grey(header.mode) for header in headers) else 3)
        deep = [f for f, header in zip(files, headers, strict=True) if _is_deep(header.mode)]
        if deep and levels is None:
            low, high = zip(*_all(pool, deep, _range), strict=True)
            levels = _levels(min(low), max(high))
            notes.append(
                f"{levels[0]:g} is black and {levels[1]:g} is white in {len(deep)} images of more "
                "than 8 bits a pixel"
            )
        frames = sum(header.frames for header in headers)
        if frames:
            notes.append(f"the first frame is used of {frames} files that have several")
        found = np.array([header.size for header in headers])
        height, width = image_size or _common_size(found)
        if (found != (height, width)).any():
            low, high = found.min(axis=0), found.max(axis=0)
            notes.append(
                f"resized to {width} x {height} pixels (files have {low[1]} x {low[0]} "
                f"to {high[1]} x {high[0]}; --image-size or image_size= sets another)"
            )
        x = np.empty((len(files), channels, height, width), dtype=np.uint8)
        place = {path: i for i, path in enumerate(files)}

        def fill(path: Path) -> None:
            x[place[path]] = _read_image(path, channels, (height, width), levels)

        _all(pool, files, fill)
    if undecided and channels == 3 and _all_grey(x):
        x = np.ascontiguousarray(x[:, :1])
        notes.append("stored as RGB, but all pixels are grey: one channel is used")
    return Pixels(x, levels, tuple(notes))


def broken(files: Sequence[Path]) -> dict[Path, str]:
    """Those files that cannot be read as images, and why."""
    with ThreadPoolExecutor(_THREADS) as pool:
        found = pool.map(partial(_tried, _load), files)
    return {path: str(why) for path, (_, why) in zip(files, found, strict=True) if why}


def _all(pool: ThreadPoolExecutor, files: Sequence[Path], read: Callable[[Path], T]) -> list[T]:
    """What `read` gives of each file, or an error that names all which it fails on."""
    found = list(pool.map(partial(_tried, read), files))
    bad = [(path, why) for path, (_, why) in zip(files, found, strict=True) if why]
    if bad:
        path, why = bad[0]
        others = ", ".join(str(other) for other, _ in bad[1:_NAMED])
        more = f" and {len(bad) - 1} others: {others}" if others else ""
        more += ", ..." if len(bad) > _NAMED else ""
        raise DataError(
            f"cannot read the image {path}{more}",
            expected="whole files " + ", ".join(SHOWN),
            got=why,
            hint="delete or replace " + ("these files" if others else "this file"),
        )
    return [cast("T", value) for value, _ in found]


def _tried(read: Callable[[Path], T], path: Path) -> tuple[T | None, str]:
    try:
        return read(path), ""
    except MemoryError:
        raise
    except Exception as error:
        return None, " ".join(str(error).split())[:160] or type(error).__name__


def _read_image(
    path: Path, channels: int, size: tuple[int, int], levels: Levels | None
) -> NDArray[np.uint8]:
    """One image file as uint8 (channels, height, width): upright, on white where transparent."""
    mode = "RGB" if channels == 3 else "L"
    with Image.open(path) as opened:
        opened.draft(mode, (2 * max(size), 2 * max(size)))
        image = _opaque(ImageOps.exif_transpose(opened), levels or (0, 65535))
        image = image.convert(mode)
        if image.size != size[::-1]:
            image = image.resize(size[::-1], Image.Resampling.BILINEAR)
        pixels = np.asarray(image, dtype=np.uint8)
    return pixels.transpose(2, 0, 1) if channels == 3 else pixels[None]


def _load(path: Path) -> None:
    with Image.open(path) as image:
        image.load()


def is_image(path: Path) -> bool:
    """Whether Pillow reads such files: by the ending, or by the content where there is none.

    No ending is what has other characters than letters: "scan 12.03.2024", "frame.0".
    """
    suffix = path.suffix.lower()
    if suffix in _suffixes() or suffix[1:].isalpha():
        return suffix in _suffixes()
    try:
        with Image.open(path) as image:
            return image.format not in _NOT_PIXELS
    except Exception:
        return False


@cache
def _suffixes() -> frozenset[str]:
    known = Image.registered_extensions()
    return frozenset(
        suffix for suffix, kind in known.items() if kind in Image.OPEN and kind not in _NOT_PIXELS
    )


def _header(path: Path) -> _Header:
    with Image.open(path) as image:
        mode, frames = image.mode, bool(getattr(image, "is_animated", False))
        width, height = image.size
        if image.getexif().get(_ORIENTATION, 1) >= 5:  # to be turned by 90 degrees
            turned = image.format == "TIFF"  # of which Pillow has turned the size, or not, by now
            width, height = ImageOps.exif_transpose(image).size if turned else (height, width)
        return _Header((height, width), mode, frames)


def _is_grey(mode: str) -> bool:
    return mode.split(";")[0] in _GREY_MODES


def _is_deep(mode: str) -> bool:
    return mode[0] in "IF"


def _range(path: Path) -> tuple[float, float]:
    with Image.open(path) as image:
        pixels = np.asarray(image)
        known = pixels[np.isfinite(pixels)]
        return (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)


def _levels(low: float, high: float) -> Levels:
    """What is black and white: 0 and 1 for floats between, else 0 and the end of 8, 9, ... bits.

    >>> _levels(3, 4000), _levels(0, 0.5), _levels(29000, 31000), _levels(-100, 900)
    ((0.0, 4095.0), (0.0, 1.0), (29000, 31000), (-100, 900))
    """
    white = 1.0 if high <= 1 else float(2 ** max(8, math.ceil(math.log2(high + 1))) - 1)
    if low < high and (low < 0 or high - low < _NARROW * white):
        return low, high
    return 0.0, white


def _opaque(image: Image.Image, levels: Levels) -> Image.Image:
    if _is_deep(image.mode):  # convert("L") would clip at 255
        black, white = levels
        deep = np.nan_to_num(np.asarray(image).astype(np.float64), nan=black)
        scaled = np.clip((deep - black) * (255 / (white - black)), 0, 255)
        return Image.fromarray(scaled.round().astype(np.uint8))
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
    long, short = max(height, width), min(height, width)
    narrow = min(NARROWEST / short, LARGEST / math.sqrt(height * width))  # strips keep their detail
    shrink = min(1.0, max(LARGEST / long, narrow))
    return max(1, round(height * shrink)), max(1, round(width * shrink))
