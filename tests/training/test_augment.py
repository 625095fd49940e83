from __future__ import annotations

import numpy as np
import pytest
import torch

from foretell.training.augment import resolve, shift_and_flip


def test_each_image_is_shifted_as_a_whole_and_half_are_mirrored():
    """Oracle: pad with zeros, cut a window, mirror; some window must give each image."""
    x = torch.randn(200, 3, 6, 7, generator=torch.Generator().manual_seed(0))
    out = shift_and_flip(x, 2, True, torch.Generator().manual_seed(1)).numpy()
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)))
    seen, mirrored = set(), 0
    for i in range(len(x)):
        found = []
        for top in range(5):
            for left in range(5):
                window = padded[i, :, top : top + 6, left : left + 7]
                found += [(top, left, m) for m, w in enumerate((window, window[:, :, ::-1]))
                          if np.array_equal(w, out[i])]  # fmt: skip
        assert len(found) == 1
        seen.add(found[0][:2])
        mirrored += found[0][2]
    assert len(seen) == 25
    assert 70 < mirrored < 130


def test_without_flip_nothing_is_mirrored_and_the_same_seed_repeats():
    x = torch.arange(28.0).view(1, 1, 4, 7).expand(50, 1, 4, 7)
    out = shift_and_flip(x, 1, False, torch.Generator().manual_seed(0))
    assert (out[:, 0, 1:-1, 1:-1].diff(dim=2) > 0).all()
    assert torch.equal(out, shift_and_flip(x, 1, False, torch.Generator().manual_seed(0)))


@pytest.mark.parametrize(
    ("augment", "shape", "expected"),
    [
        ("auto", (3, 32, 32), (4, True)),
        ("auto", (1, 28, 28), (3, False)),  # digits are never mirrored
        ("auto", (1, 8, 8), (0, False)),
        ("auto", (3, 8, 8), (0, False)),
        ("crop", (3, 32, 32), (4, False)),
        ("crop", (1, 8, 8), (1, False)),
        ("flip", (1, 8, 8), (0, True)),
        ("crop+flip", (1, 16, 24), (2, True)),
        ("none", (3, 32, 32), (0, False)),
        ("auto", (30,), (0, False)),
        ("crop+flip", (30,), (0, False)),
    ],
)
def test_resolve(augment, shape, expected):
    assert resolve(augment, shape) == expected
