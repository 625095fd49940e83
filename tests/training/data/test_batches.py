"""Rows of an epoch in which all classes are equally often."""

from __future__ import annotations

import pytest
import torch

from foretell.training.data.batches import balanced


@pytest.mark.parametrize("counts", [(285, 15), (7, 3, 11), (5,), (1, 1, 97), (4, 4)])
def test_each_class_has_its_share_and_its_rows_their_turn(counts):
    y = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    y = y[torch.randperm(len(y), generator=torch.Generator().manual_seed(1))]
    rows = balanced(y, torch.Generator().manual_seed(0))
    assert len(rows) == len(y)
    share = torch.bincount(y[rows])
    assert share.max() - share.min() <= 1
    times = torch.bincount(rows, minlength=len(y))
    for k in range(len(counts)):
        assert times[y == k].max() - times[y == k].min() <= 1, "none before all others had theirs"
    assert torch.equal(rows, balanced(y, torch.Generator().manual_seed(0)))
    if len(y) > 8:
        assert not torch.equal(rows, balanced(y, torch.Generator().manual_seed(1)))


def test_classes_without_rows_have_none():
    y = torch.tensor([0, 3, 3])
    assert set(y[balanced(y, torch.Generator().manual_seed(0))].tolist()) == {0, 3}
