"""Small pictures of examples, for people."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from foretell.training.data.dataset import Data

SIDE = 64  # pixels of the longer side, at most
_EXACT = 32  # up to so many they are kept as they are


def pictures(data: Data, rows: Iterable[int]) -> list[str]:
    """Examples as `data:` URLs: PNG where they are tiny, else JPEG; none of data without images."""
    return [_url(pixels(data, row)) for row in rows] if data.x.ndim == 4 else []


def pixels(data: Data, row: int) -> NDArray[np.uint8]:
    """An example as it was before it was normalised; numbers in no known range fill 0 to 255.

    Shapes: returns (height, width), or (height, width, 3).
    """
    x = np.asarray(data.x[row])
    if x.dtype != np.uint8:
        each = (-1, 1, 1)
        x = x * data.std.reshape(each) + data.mean.reshape(each)
        if data.spec.get("scale") is None:
            low, high = float(x.min()), float(x.max())
            x = (x - low) / (high - low or 1.0)
        x = np.clip(255 * x, 0, 255).round().astype(np.uint8)
    return x.transpose(1, 2, 0) if len(x) == 3 else x[0]


def _url(shown: NDArray[np.uint8]) -> str:
    image = Image.fromarray(np.ascontiguousarray(shown))
    image.thumbnail((SIDE, SIDE))
    kind = "PNG" if max(image.size) <= _EXACT else "JPEG"
    out = io.BytesIO()
    image.save(out, kind, **({"quality": 80} if kind == "JPEG" else {}))
    return f"data:image/{kind.lower()};base64,{base64.b64encode(out.getvalue()).decode()}"
