"""The demo: the whole main job on handwritten digits that come with scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from foretell.training.data import Data, load

SETTINGS: dict[str, Any] = {
    "space": "mobile",
    "space_settings": {"preset": "tiny"},
    "n_train": 24,
    "top_k": 5,
    "epochs": 5,
    "compare_random": True,
}


def data(seed: int) -> Data:
    """The digits, half of them kept for validation and test: small sets rank by luck."""
    return load("digits", seed=seed, fractions=(0.5, 0.25, 0.25))


def write_samples(folder: Path, n: int = 6) -> Path:
    """Write `n` digits as PNG files, named by what they show, for `foretell predict`.

    Args:
        folder: made if it is not there.
        n: how many, at most 1,797.

    Returns: the folder.
    """
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    folder.mkdir(parents=True, exist_ok=True)
    for i, (pixels, label) in enumerate(zip(digits.images[:n], digits.target[:n], strict=True)):
        image = Image.fromarray((pixels * (255 / 16)).round().astype("uint8"))
        image.save(folder / f"{i}-shows-{label}.png")
    return folder
