"""`History`: columns that stay together, and what each view leaves out."""

from __future__ import annotations

import numpy as np
import pytest

import foretell as ft
from foretell.errors import DataError
from foretell.search.history import FAILED, OK, PENDING, History

SPACE = ft.spaces.get("nb201")
X = next(SPACE.enumerate())[:6]


def trained_on():
    """Row 0 to the end, row 1 half the way, row 2 failed on the way, row 3 is out."""
    history = History.of(SPACE, X[:3], [0.1, 0.2, 0.3], epochs=1, asks=0, max_epochs=4)
    history = history.append(X[[0]], [0.5], epochs=4, ids=[0], asks=0, seconds=7.0)
    history = history.append(X[[2]], [np.nan], epochs=4, ids=[2], asks=0)
    return history.with_pending(X[[3]], [1], asks=1)


def test_views():
    history = trained_on()
    assert history.ids.tolist() == [0, 1, 2, 0, 2, 3]
    assert history.status.tolist() == [OK, OK, OK, OK, FAILED, PENDING]
    assert history.ok.ids.tolist() == [0, 1, 2, 0]
    assert history.full.y.tolist() == [0.5]
    assert history.pending.ids.tolist() == [3]
    assert len(history.told) == 5
    latest = history.latest
    assert latest.ids.tolist() == [0, 1, 2, 3]
    assert latest.epochs.tolist() == [4, 1, 4, 1]
    assert latest.seconds.tolist() == [7.0, 0.0, 0.0, 0.0]
    assert latest.asks.tolist() == [0, 0, 0, 1]
    assert history.ok.latest.y.tolist() == [0.5, 0.2, 0.3]
    assert history.max_epochs == latest.max_epochs == 4


def test_the_best_is_among_those_that_came_furthest():
    history = History.of(SPACE, X[:3], [0.9, 0.1, 0.2], epochs=[1, 4, 4], max_epochs=4)
    assert history.best() == 2
    assert History.of(SPACE, X[:3], [0.9, 0.1, 0.9]).best() == 0, "the oldest on ties"
    with pytest.raises(DataError, match="no result yet"):
        History.of(SPACE, X[:1], [np.nan]).best()


def test_curves_of_different_lengths_stand_beside_each_other():
    history = History.of(SPACE, X[:2], [0.2, 0.3], curves={"val_acc": [[0.1, 0.2], [0.2, 0.3]]})
    history = history.append(X[2:4], [0.4, 0.5])
    history = history.append(
        X[4:5], [0.6], curves={"val_acc": [[0.4, 0.5, 0.6]], "train_loss": [[3.0]]}
    )
    history = history.with_pending(X[5:])
    nan = np.nan
    np.testing.assert_array_equal(
        history.curves["val_acc"],
        [[0.1, 0.2, nan], [0.2, 0.3, nan], [nan] * 3, [nan] * 3, [0.4, 0.5, 0.6], [nan] * 3],
    )
    assert history.curves["train_loss"].ravel().tolist()[4] == 3.0
    np.testing.assert_array_equal(history[2:5].curves["val_acc"][-1], [0.4, 0.5, 0.6])


def test_every_column_is_taken_along():
    history = trained_on()
    keep = np.array([5, 0, 3])
    for name in ("X", "y", "status", "seconds", "epochs", "ended_s", "ids", "asks"):
        np.testing.assert_array_equal(getattr(history[keep], name), getattr(history, name)[keep])
    whole = history[:2].then(history[2:])
    for name in ("X", "y", "status", "epochs", "ids"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(history, name))


def test_wrong_shapes():
    with pytest.raises(DataError, match="3 values"):
        History.of(SPACE, X[:3], [1.0, 2.0])
    with pytest.raises(DataError, match="curve 'val_acc'"):
        History.of(SPACE, X[:2], [1.0, 2.0], curves={"val_acc": [0.1, 0.2]})
