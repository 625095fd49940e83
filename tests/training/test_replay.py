"""Recorded steps: what a recording would get wrong is not recorded; the same buffers on a CPU."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest
import torch
from torch import nn

from foretell.training import loop, replay, step
from foretell.training.data import load
from foretell.training.recipe import Recipe

CPU = torch.device("cpu")


class Faked(replay.Replay):
    """A recording that remembers what was called and calls it again: no card is needed."""

    def _recorded(self):
        before = [tensor.clone() for tensor in self.restores]
        self.run()  # a graph would only write the calls down
        for tensor, value in zip(self.restores, before, strict=True):
            tensor.copy_(value)
        return self.run

    restores: tuple = ()


@pytest.fixture
def recording(monkeypatch):
    """As if the CPU had graphs."""
    monkeypatch.setattr(replay, "can_record", lambda device: True)
    monkeypatch.setattr(replay, "_said", set())
    monkeypatch.setattr(loop, "pool_of", lambda device: None)


def test_a_recording_begins_with_the_third_call(recording):
    seen, count = [], torch.zeros(())

    def run():
        count.add_(1)
        seen.append(len(seen))

    one = Faked(run, CPU)
    one.restores = (count,)
    states = []
    for _ in range(6):
        one()
        states.append(one.recorded)
    assert states == [False, False, True, True, True, True]
    assert float(count) == 6  # each call has done its work once
    assert one.note == ""


def test_on_a_cpu_and_where_it_is_off_nothing_is_recorded(monkeypatch):
    calls = []
    plain = Faked(lambda: calls.append(0), CPU)
    monkeypatch.setattr(replay, "can_record", lambda device: True)
    off = Faked(lambda: calls.append(1), CPU, on=False)
    for _ in range(5):
        plain()
        off()
    assert (plain.recorded, off.recorded) == (False, False)
    assert sorted(calls) == [0] * 5 + [1] * 5


@pytest.mark.parametrize(
    "draw", [random.random, np.random.rand, lambda: torch.rand(1)], ids=["python", "numpy", "torch"]
)
def test_numbers_that_are_not_the_cards_are_not_recorded(draw, recording, caplog):
    one = Faked(lambda: draw() and None, CPU)
    for _ in range(6):
        one()
    assert not one.recorded
    assert "random numbers that are not the card's" in one.note
    assert [r.message for r in caplog.records] == [f"{one.note}; it runs operation by operation"]


def test_what_cannot_be_recorded_goes_on_with_one_note(recording, caplog):
    class Fails(replay.Replay):
        def _recorded(self):
            raise RuntimeError("operation not permitted when stream is capturing")

    calls = []
    for _ in range(2):  # two networks of one kind
        one = Fails(lambda: calls.append(0), CPU)
        for _ in range(6):
            one()
    assert len(calls) == 12
    assert "not permitted when stream is capturing" in one.note
    assert len(caplog.records) == 1


def images(n=90):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (n, 3, 12, 12), dtype=np.uint8)
    return load((x, rng.integers(0, 3, n)))


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_replaying_the_same_buffers_trains_the_same_network(optimiser, recording, monkeypatch):
    """The buffers are all that changes between steps: what a recording holds on to is enough."""
    data = images()
    recipe = Recipe(epochs=3, batch_size=20, augment="crop+flip", optimiser=optimiser)
    expected = loop.fit(network(), data, recipe, 0, CPU)
    recorded = []

    class Held(replay.Replay):
        def _recorded(self):
            recorded.append(self.name)
            return self.run

    monkeypatch.setattr(step, "Replay", Held)
    monkeypatch.setattr(step, "records", lambda recipe, device: recipe.graph)
    floats = loop.optimiser_of  # a CPU has no steps with rates in tensors
    monkeypatch.setattr(
        loop, "optimiser_of", lambda m, r, d: floats(m, dataclasses.replace(r, graph=False), d)
    )
    found = loop.fit(network(), data, recipe, 0, CPU)
    assert found.curve["train_loss"] == expected.curve["train_loss"]
    # statistics are of batches of one size then
    assert found.curve["val_loss"] == pytest.approx(expected.curve["val_loss"], rel=1e-3)
    assert recorded  # it was tried


def test_batches_of_one_size_hold_all_rows():
    for n, size in ((10, 4), (64, 64), (65, 64), (129, 64), (7, 2), (3, 2), (1, 8), (50_000, 64)):
        rows = torch.randperm(n)
        parts = step.batches(rows, size, True)
        assert {len(one) for one in parts} == {len(parts[0])}
        assert len(parts[0]) <= max(size, 3)  # no batch of one row
        assert sorted(set(torch.cat(parts).tolist())) == list(range(n))
        assert len(parts) * len(parts[0]) - n < len(parts)
        like = step.batches(rows, size, False)
        assert torch.equal(torch.cat(like), rows)
        assert len(like) == len(parts)


def test_looks_of_one_size_say_the_same_as_looks_of_their_own(monkeypatch):
    data, recipe = images(), Recipe(batch_size=5)
    part = loop.Split(data, "train", CPU)  # looks of 20 do not divide it
    model = network().eval()
    expected, y = loop.outputs(model, part, data, recipe)
    assert len(expected) == len(y) == len(part)
    assert len(part) % 20
    monkeypatch.setattr(step, "records", lambda recipe, device: True)
    torch.testing.assert_close(loop.outputs(model, part, data, recipe)[0], expected)
