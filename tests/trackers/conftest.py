"""A journal with all that a tracker may meet."""

from __future__ import annotations

import pytest

import foretell as ft

SETTINGS = {"name": "digits", "created": "2026-01-01T00:00:00+00:00"}


@pytest.fixture
def space():
    """Two to five decisions: the repeated one applies as often as `depth` says."""
    choices = {
        "depth": [1, 2],
        "op": ft.choice(["conv", "skip"], repeat="depth"),
        "rate": [0.1, 0.2],
    }
    return ft.Space.from_choices(choices, build=print)


@pytest.fixture
def journal(space):
    """Four trials asked for at once: one whole, one failed, one stopped early, one not trained."""
    rows = space.check([[0, 1, 0, 1], [1, 0, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0]])
    archs = space.to_str(rows)

    def trial(i, **fields):
        return {
            "event": "trial", "id": i, "phase": "sample", "arch": archs[i], "x": rows[i].tolist(),
            "seed": 100 + i, "status": "ok", "error": "", "metrics": {}, "curve": {},
            "seconds": 1.5 + i, "params": 1000 + i, "flops": 2000 + i, "epochs": 3,
            "stopped": False, "replicate": 0, "costs": {}, **fields,
        }  # fmt: skip

    return [
        {"event": "ask", "phase": "sample", "ids": [0, 1, 2, 3], "archs": archs},
        trial(
            0,
            metrics={"val_acc": 0.75, "test_acc": 0.7},
            curve={"val_acc": [0.25, None, 0.75], "train_loss": [2.0, 1.5, 1.0]},
            costs={"latency_ms": 2.5},
        ),
        {"event": "rung", "id": 2, "epochs": 1, "value": 0.125, "seconds": 1.0},
        trial(1, status="failed", error="RuntimeError: no memory", params=None, epochs=0),
        trial(2, metrics={"val_acc": 0.5}, curve={"val_acc": [0.125, 0.5]}, epochs=2, stopped=True),
    ]


@pytest.fixture
def tracked(space, journal):
    """Runs a fresh watcher of `make` over the journal, live or as a run that continues."""

    def go(make, live_from=0, end=True):
        watcher = make()
        watcher.begin(SETTINGS, space, "val_acc", journal[:live_from])
        for event in journal[live_from:]:
            watcher.event(event)
        if end:
            watcher.end({"metrics": {"val_acc": 0.75}, "arch": journal[1]["arch"]})
        return watcher

    return go
