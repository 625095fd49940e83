"""Random changes of image batches that leave the label as it is."""

from __future__ import annotations

import torch
from torch import Tensor


def resolve(augment: str, input_shape: tuple[int, ...]) -> tuple[int, bool]:
    """What an `augment` setting means for inputs of this shape: (largest shift, mirror or not).

    "auto": images of at least 28 pixels a side are shifted, and mirrored too where they have
    colours. Grey images (digits, letters, scans) are never mirrored by it.

    >>> resolve("auto", (3, 32, 32)), resolve("auto", (1, 28, 28)), resolve("auto", (1, 8, 8))
    ((4, True), (3, False), (0, False))
    """
    if len(input_shape) != 3:
        return 0, False
    channels, side = input_shape[0], min(input_shape[1:])
    crop = "crop" in augment or (augment == "auto" and side >= 28)
    flip = "flip" in augment or (augment == "auto" and side >= 28 and channels >= 3)
    return (max(1, side // 8) if crop else 0), flip


def shift_and_flip(x: Tensor, largest: int, flip: bool, rng: torch.Generator) -> Tensor:
    """Each image shifted by up to `largest` pixels each way, 0 where it leaves; half mirrored.

    Args:
        x: (n, channels, height, width), normalised, so that 0 is the mean.
        largest: in pixels.
        flip: whether to mirror left and right.
        rng: a CPU generator, so that every device draws the same.
    """
    return moved(x, draw(len(x), largest, flip, rng).to(x.device))


def draw(n: int, largest: int, flip: bool, rng: torch.Generator) -> Tensor:
    """What is done to n images: rows down, columns right, whether mirrored; (3, n, 1) int64."""
    shifts = torch.randint(-largest, largest + 1, (2, n, 1), generator=rng)
    if not flip:
        return torch.cat([shifts, torch.zeros(1, n, 1, dtype=torch.int64)])
    return torch.cat([shifts, (torch.rand(n, 1, generator=rng) < 0.5)[None].long()])


def moved(x: Tensor, moves: Tensor) -> Tensor:
    """Images (n, channels, height, width) shifted and mirrored by `moves` of `draw`."""
    n, channels, height, width = x.shape
    dy, dx, mirrored = moves
    rows = torch.arange(height, device=x.device) + dy
    columns = torch.arange(width, device=x.device) + dx
    columns = torch.where(mirrored > 0, width - 1 - columns, columns)
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[
        :, None, :
    ]
    flat = (rows.clamp(0, height - 1) * width)[:, :, None] + columns.clamp(0, width - 1)[:, None, :]
    flat = flat.view(n, 1, height * width).expand(n, channels, height * width)
    gathered = x.reshape(n, channels, height * width).gather(2, flat).view(x.shape)
    kept: Tensor = gathered * inside[:, None].to(x.dtype)
    return kept
