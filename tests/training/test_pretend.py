"""The CUDA paths on a card that is not there: what is recorded trains what runs eagerly."""

from __future__ import annotations

import gc
import warnings
import weakref

import numpy as np
import pytest
import torch
from torch import nn

from foretell.training import lead, loop
from foretell.training.data import batches, load
from foretell.training.recipe import Recipe

CARD, CPU = torch.device("cuda"), torch.device("cpu")


def images(n=90):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (n, 3, 12, 12), dtype=np.uint8)
    return load((x, rng.integers(0, 3, n)))


def network(more: nn.Module | None = None):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        more or nn.Identity(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )


class Branches(nn.Module):
    def forward(self, x):
        return x * 2 if float(x.detach().mean()) > 0.5 else x


class Counts(nn.Module):
    """Changes with a number of Python's, which a recording keeps as it was."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += self.training
        return x * (1.0 + 0.2 * self.calls)


ADAMW = {"optimiser": "adamw"}


def recipe(**settings):
    # SGD with rates in tensors; crops, so that positions are made anew for every batch
    common = {"epochs": 5, "batch_size": 16, "augment": "crop+flip", "device": "cuda"}
    return Recipe(**{**common, **settings})


@pytest.fixture(scope="module")
def data():
    found = images(92)
    assert found.sizes[0] == 64  # batches are the same with and without recordings
    return found


@pytest.mark.parametrize(
    "settings",
    [{}, {"keep": "best"}, {"label_smoothing": 0.0, "clip": 0.0}, {"balance": True}, ADAMW],
    ids=["last", "best", "bare", "balance", "adamw"],
)
def test_what_is_recorded_trains_what_runs_eagerly(settings, card, data):
    found = loop.fit(network(), data, recipe(**settings), 0, CARD)
    assert len(card.graphs) == 3  # steps, looks, statistics
    assert all(graph.replays for graph in card.graphs)
    assert len(set(card.streams)) == 1
    eager = loop.fit(network(), data, recipe(**settings, graph=False), 0, CARD)
    assert len(card.graphs) == 3
    for name, values in found.curve.items():
        assert values == pytest.approx(eager.curve[name], rel=1e-4), name
    assert found.epoch == eager.epoch


def test_the_pretended_recordings_are_true(card, data):
    """What Python does between steps is not in them."""
    found, eager = (
        loop.fit(network(Counts()), data, recipe(graph=graph), 0, CARD) for graph in (True, False)
    )
    assert card.graphs
    assert found.curve["train_loss"] != pytest.approx(eager.curve["train_loss"], rel=1e-2)


def test_a_branch_on_data_is_found_before_anything_is_recorded(card, data, caplog):
    found, eager = (
        loop.fit(network(Branches()), data, recipe(graph=graph), 0, CARD) for graph in (True, False)
    )
    assert card.graphs == []
    assert found.curve == eager.curve
    notes = [one.message for one in caplog.records]
    assert notes == [
        "a step is not recorded: it waits for the card; it runs operation by operation",
        "a look is not recorded: it waits for the card; it runs operation by operation",
    ]


def test_warnings_of_a_network_are_still_heard(card, data):
    calls = []

    class Warns(nn.Module):
        def forward(self, x):
            calls.append(1)
            warnings.warn("mind the step", UserWarning, stacklevel=1)
            return x

    with pytest.warns(UserWarning, match="mind the step") as heard:
        loop.fit(network(Warns()), data, recipe(epochs=1), 0, CARD)
    assert card.graphs
    assert len(heard) == len(calls)


def test_a_recording_that_breaks_off_leaves_random_numbers_in_order(card, data, monkeypatch):
    """The state that was being recorded is not drawn from again, and the network trains on."""
    made = card.CUDAGraph

    def fails():
        graph = made()
        end = graph.capture_end

        def broken():
            end()
            raise RuntimeError("CUDA error: operation failed due to an error during capture")

        graph.capture_end = broken
        return graph

    monkeypatch.setattr(card, "CUDAGraph", fails)
    state = card.default_generators[0].state
    found = loop.fit(network(), data, recipe(), 0, CARD)
    assert card.default_generators[0].state is not state
    assert torch.equal(card.default_generators[0].state.get_state(), state.get_state())
    eager = loop.fit(network(), data, recipe(graph=False), 0, CARD)
    assert found.curve == eager.curve


def test_a_training_is_never_far_ahead_of_its_card(card, data):
    card.late = 10_000  # queries until a piece is done: the training waits
    steps = loop.training(network(), data, recipe(epochs=1, batch_size=2), 0, CARD)
    with card.stream(card.Stream()):
        did = [next(steps) for _ in range(200)]
    assert did.count(True) == lead.AHEAD
    assert did[lead.AHEAD :] == [False] * (200 - lead.AHEAD)
    steps.close()


def test_who_waits_for_its_card_is_asked_for_its_time(card, data):
    """Not only between steps: the last ones of an epoch may take long."""
    card.late = 10_000
    asked = []
    steps = loop.training(
        network(), data, recipe(epochs=1, batch_size=32), 0, CARD, on_step=lambda: asked.append(1)
    )
    with card.stream(card.Stream()):
        for _ in range(50):
            next(steps)
    assert len(asked) > 40
    steps.close()


def test_recordings_are_gone_when_a_training_is(card, data):
    """By themselves, without the collector: the stream is somebody else's next."""
    gc.collect()
    gc.disable()
    try:
        loop.fit(network(), data, recipe(), 0, CARD)
        kept = [weakref.ref(graph) for graph in card.graphs]
        assert len(kept) == 3
        card.graphs.clear()
        assert [one() for one in kept] == [None] * 3
    finally:
        gc.enable()


def test_a_card_has_one_copy_of_a_split(card, data):
    one = batches.resident(data, "train", CARD)
    assert batches.resident(data, "train", CARD) is one
    assert batches.resident(data, "val", CARD) is not one
    assert batches.resident(data, "train", CPU) is not batches.resident(data, "train", CPU)
    other = images(92)
    kept = weakref.ref(batches.resident(other, "train", CARD))
    del other
    gc.collect()
    assert kept() is None


def test_seconds_of_the_card_are_counted_once(card, data):
    """Each piece has taken a second of the pretended clock, and none of them overlap."""
    found = loop.fit(network(), data, recipe(epochs=2), 0, CARD)
    looks, statistics = 1, 1 + 4  # of 64 rows by the validation; 16 rows, then all of them
    assert found.usage.device == "cuda"
    assert found.usage.rows == 2 * 64
    assert found.usage.busy_s == pytest.approx((2 * (4 + looks) + statistics) / 1e3)
