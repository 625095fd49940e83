"""Small files and networks for the tests of training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def write_image() -> Callable[..., Path]:
    """`write_image(path, pixels)`: pixels as (h, w), (h, w, 3) or (h, w, 4) uint8."""

    def write(path: Path, pixels: np.ndarray, **options: object) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, **options)
        return path

    return write


@pytest.fixture
def image_folder(tmp_path: Path, write_image: Callable[..., Path]) -> Path:
    """Two classes of ten colour images of 6 x 8 pixels (height x width)."""
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        for i in range(10):
            pixels = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
            write_image(tmp_path / "pets" / label / f"{i}.png", pixels)
    return tmp_path / "pets"


@pytest.fixture
def csv_file(tmp_path: Path) -> Callable[[str], Path]:
    """`csv_file(text)`: a .csv of this text."""

    def write(text: str, name: str = "table.csv") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write
