"""Losses against their definitions, pair by pair."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from foretell.predictors.parts.losses import LOSSES


def test_losses_equal_their_definitions_pair_by_pair():
    rng = np.random.default_rng(0)
    scores, target = rng.normal(size=(3, 7)), np.array([1.0, 2.0, 2.0, 0.5, 3.0, -1.0, 0.5])
    pairs = [(i, j) for i in range(7) for j in range(7) if target[i] > target[j]]
    assert len(pairs) == 21 - 2
    expected = {"rank": 0.0, "hinge": 0.0}
    for s in scores:
        gaps = np.array([s[i] - s[j] for i, j in pairs])
        expected["rank"] += np.log1p(np.exp(-gaps)).mean()
        expected["hinge"] += np.maximum(0, 0.1 - gaps).mean()
    wish = 1 / (1 + np.exp(target[None, :] - target[:, None]))
    each = [(i, j) for i in range(7) for j in range(7) if i != j]
    expected["soft"] = sum(
        np.mean(
            [
                -wish[i, j] * np.log(1 / (1 + np.exp(s[j] - s[i])))
                - wish[j, i] * np.log(1 / (1 + np.exp(s[i] - s[j])))
                for i, j in each
            ]
        )
        for s in scores
    )
    expected["mse"] = sum(((s - target) ** 2).mean() for s in scores)
    expected["mae"] = sum(np.abs(s - target).mean() for s in scores)
    share = np.array([1.0, 0.0, 0.5, 1.0, 0.0, 0.25, 1.0])
    p = 1 / (1 + np.exp(-scores))
    expected["bce"] = -(share * np.log(p) + (1 - share) * np.log(1 - p)).mean(axis=1).sum()
    for name, loss in LOSSES.items():
        goal = torch.from_numpy(share if name == "bce" else target)
        assert float(loss(torch.from_numpy(scores), goal)) == pytest.approx(expected[name])


@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_members_that_leave_rows_out(name):
    """NaN targets of a member: its loss is that of the rows that it sees."""
    rng = np.random.default_rng(1)
    scores, target = torch.from_numpy(rng.normal(size=(2, 6))), torch.from_numpy(rng.random(6))
    hidden = target.repeat(2, 1)
    hidden[0, 2], hidden[1, [0, 5]] = torch.nan, torch.nan
    scores.requires_grad_()
    total = LOSSES[name](scores, hidden)
    kept = [~row.isnan() for row in hidden]
    parts = [LOSSES[name](s[k][None], target[k]) for s, k in zip(scores, kept, strict=True)]
    torch.testing.assert_close(total, sum(parts))
    total.backward()
    assert not scores.grad[hidden.isnan()].any()
    assert scores.grad.any()
