"""Networks that take turns train as they would alone."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
import torch

import foretell as ft
from foretell.errors import RunError, SettingError
from foretell.evaluators import together
from foretell.evaluators.base import Job
from foretell.evaluators.together import Together
from foretell.evaluators.trainer import Trainer
from foretell.training.data import load
from foretell.training.recipe import Recipe


class Nets(ft.Space):
    """Small networks with dropout; one that is wrong, one that diverges, one that is slow."""

    kind = ft.choice(["small", "wide", "dropout", "broken", "wild", "slow"])

    def build(self, x, input_shape, n_outputs):
        kind = self.decode(x)["kind"]
        if kind == "broken":
            raise ValueError("no such network")
        width = 12 if kind == "wide" else 6
        act = {"dropout": torch.nn.Dropout(0.4), "slow": Slow(), "wild": Wild()}
        return torch.nn.Sequential(
            torch.nn.Linear(input_shape[0], width),
            torch.nn.BatchNorm1d(width),
            act.get(kind, torch.nn.ReLU()),
            torch.nn.Linear(width, n_outputs),
        )


class Slow(torch.nn.Module):
    def forward(self, x):
        time.sleep(0.02)
        return x


class Wild(torch.nn.Module):
    def forward(self, x):
        return x * 1e30 * 1e30


SPACE = Nets()
SMALL, WIDE, DROPOUT, BROKEN, WILD, SLOW = range(6)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(160, 5)).astype(np.float32)
    return load((x, (x[:, 0] > 0).astype(int) + (x[:, 1] > 0)))


def trainer(data, epochs=3):
    return Trainer(SPACE, data, Recipe(epochs=epochs, batch_size=16, device="cpu"))


def jobs(*kinds, folder=None):
    return [
        Job(i, np.array([kind]), seed=i, weights=folder and folder / f"{i}.safetensors")
        for i, kind in enumerate(kinds)
    ]


@pytest.mark.parametrize("k", [1, 2, 5])
def test_results_and_weights_are_those_of_one_by_one(k, data, tmp_path):
    tr, kinds = trainer(data), (SMALL, DROPOUT, WIDE, DROPOUT, SMALL)
    state = torch.random.get_rng_state()
    found = {job.id: result for job, result in Together(tr, k).run(jobs(*kinds, folder=tmp_path))}
    assert torch.equal(torch.random.get_rng_state(), state)
    for job in jobs(*kinds):
        alone = tmp_path / "alone.safetensors"
        expected = tr.evaluate(job.x, job.seed, weights=alone)
        assert (found[job.id].metrics, found[job.id].curve) == (expected.metrics, expected.curve)
        assert (tmp_path / f"{job.id}.safetensors").read_bytes() == alone.read_bytes()


def test_one_that_fails_leaves_the_others_alone(data):
    tr = trainer(data)
    found = {j.id: r for j, r in Together(tr, 3).run(jobs(BROKEN, DROPOUT, WILD, SMALL))}
    assert "no such network" in found[0].error
    assert "not a number" in found[2].error
    for i, kind in ((1, DROPOUT), (3, SMALL)):
        assert found[i].metrics == tr.evaluate(np.array([kind]), i).metrics


def test_one_that_takes_too_long_ends_and_the_others_go_on(data):
    tr = trainer(data, epochs=6)
    found = {j.id: r for j, r in Together(tr, 2, timeout_s=0.4).run(jobs(SLOW, SMALL, DROPOUT))}
    assert found[0].error == "took longer than 0.4 s"
    assert found[1].ok
    assert found[2].ok


def test_networks_are_asked_for_when_there_is_room(data):
    """None means: nothing now; asked again after the next result and not before."""
    told, asked = [], []

    def source():
        first, second, third = jobs(SMALL, SMALL, SMALL)
        yield first
        asked.append(len(told))
        yield None
        asked.append(len(told))
        yield second
        asked.append(len(told))
        yield third

    for job, _ in Together(trainer(data), 2).run(source()):
        told.append(job.id)
    assert asked == [0, 1, 1]
    assert sorted(told) == [0, 1, 2]


def test_what_is_half_trained_goes_on(data, tmp_path):
    tr = trainer(data)
    job = Job(0, np.array([DROPOUT]), 7, state=tmp_path / "state.safetensors", epochs=2)
    ((_, half),) = Together(tr, 2).run([job])
    assert half.epochs == 2
    ((_, whole),) = Together(tr, 2).run([Job(0, job.x, 7, state=job.state)])
    assert whole.curve == tr.evaluate(job.x, 7).curve


def test_want_of_memory_beside_others_is_tried_again(data, monkeypatch):
    tr, tries = trainer(data), []
    whole = tr.training

    def training(x, seed, device, **files):
        tries.append(seed)
        if seed == 1 and tries.count(1) == 1:
            raise MemoryError("64 GB")
        return (yield from whole(x, seed, device, **files))

    def guarded(x, seed, device, **files):
        try:
            return (yield from training(x, seed, device, **files))
        except MemoryError as error:
            return ft.Result(seed=seed, error=f"out of memory: {error}")

    monkeypatch.setattr(tr, "training", guarded)
    workers = Together(tr, 3)
    found = {job.id: result for job, result in workers.run(jobs(SMALL, SMALL, SMALL))}
    assert tries.count(1) == 2
    assert all(result.ok for result in found.values())
    assert workers.room == 2


def test_how_many_pay_is_measured(data, monkeypatch):
    """Steps a second that grow with k up to 3: k goes on to 4, and stays there; waits count not."""
    clock = [0.0]
    monkeypatch.setattr(together.time, "monotonic", lambda: clock[0])
    tr = trainer(data)

    def steps(x, seed, device, **files):
        for _ in range(4000):
            clock[0] += 0.01 / min(workers.room, 3)
            yield True
            yield False
        return ft.Result({"val_acc": 1.0}, seed=seed)

    monkeypatch.setattr(tr, "training", steps)
    workers = Together(tr)
    assert len(list(workers.run(jobs(*[SMALL] * 12)))) == 12
    assert workers.room == 4


def test_wrong_numbers(data):
    with pytest.raises(SettingError, match="networks"):
        Together(trainer(data), 0)
    with pytest.raises(SettingError, match="1 to 32"):
        Together(trainer(data), 33)
    with pytest.raises(SettingError, match="timeout_s"):
        Together(trainer(data), 1, timeout_s=0)


# -- on a card that is not there ------------------------------------------------------------------


class Pictures(ft.Space):
    """Networks that can be recorded, some that cannot, one that the card's driver gives up on."""

    kind = ft.choice(["small", "wide", "dropout", "branch", "fatal"])

    def build(self, x, input_shape, n_outputs):
        kind = self.decode(x)["kind"]
        width = 8 if kind == "wide" else 4
        more = {"dropout": torch.nn.Dropout(0.4), "branch": Branch(), "fatal": Fatal()}
        return torch.nn.Sequential(
            torch.nn.Conv2d(input_shape[0], width, 3, padding=1),
            torch.nn.BatchNorm2d(width),
            more.get(kind, torch.nn.ReLU()),
            torch.nn.Flatten(),
            torch.nn.Linear(width * input_shape[1] * input_shape[2], n_outputs),
        )


class Branch(torch.nn.Module):
    def forward(self, x):
        return x * 2 if float(x.detach().mean()) > 0.5 else x


class Fatal(torch.nn.Module):
    def forward(self, x):
        if self.training and torch.cuda.is_available():
            torch.cuda.broken = "CUDA error: device-side assert triggered"
            torch.cuda.synchronize()
        return x


def on_card(epochs=4):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (92, 1, 6, 6), dtype=np.uint8)
    settings = Recipe(epochs=epochs, batch_size=16, augment="crop+flip", device="cuda")
    return Trainer(Pictures(), load((x, rng.integers(0, 3, 92))), settings)


@pytest.mark.parametrize("k", [1, 3])
def test_on_a_card_each_has_a_stream_and_the_results_of_one_by_one(k, card):
    tr, kinds = on_card(), (0, 1, 2, 3, 0, 1)
    workers = Together(tr, k)
    state = card.default_generators[0].state
    found = {job.id: result for job, result in workers.run(jobs(*kinds))}
    assert card.default_generators[0].state is state
    assert len(workers._streams) == k  # used again, not made anew
    assert len({one.id for one in workers._streams}) == k
    # steps, looks and statistics of four; dropout's, of which the steps are not true
    assert [one.error for one in found.values()] == [""] * 6
    assert len(card.graphs) == 4 * 3 + 3
    for job in jobs(*kinds):
        expected = tr.evaluate(job.x, job.seed)
        assert found[job.id].error == expected.error == ""
        assert found[job.id].curve == expected.curve
    busy = [result.usage.busy_s for result in found.values()]
    assert min(busy) > 0


def test_on_a_card_they_begin_together_as_far_as_memory_goes(card, monkeypatch):
    tr, live, most = on_card(epochs=1), [], []
    workers = Together(tr)
    assert workers.room == together.BEGIN
    begin, end = workers._begin, workers._end
    monkeypatch.setattr(workers, "_begin", lambda job: (live.append(job.id), begin(job))[1])
    monkeypatch.setattr(workers, "_end", lambda one, r: (live.remove(one.job.id), end(one, r))[1])

    def left(device):  # each takes 15 of 80: beside four there is no room for one and a half
        most.append(len(live))
        return (80 - 15 * len(live)) << 30, 80 << 30

    monkeypatch.setattr(card, "mem_get_info", left)
    found = list(workers.run(jobs(*[0] * 9)))
    assert [result.error for _, result in found] == [""] * 9
    assert max(most) == workers.room == 4


def test_when_a_card_is_gone_what_is_left_is_trained_elsewhere(card, monkeypatch):
    """It and those beside it again, each in a process; then the run is to be continued."""
    tr, asked = on_card(), []

    class Alone:
        def __init__(self, evaluator, workers, timeout_s):
            assert (evaluator, workers, timeout_s) == (tr, 1, None)

        def run(self, source):
            for job in source:
                asked.append(job.id)
                yield job, ft.Result({"val_acc": 0.5}, seed=job.seed)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return None

    monkeypatch.setattr(together, "Workers", Alone)
    monkeypatch.setattr(tr, "_sound", lambda *any: None)
    found = Together(tr, 2).run(jobs(0, 4, 1))
    assert sorted(job.id for job, _ in itertools.islice(found, 3)) == [0, 1, 2]
    assert sorted(asked) == [0, 1, 2]
    with pytest.raises(RunError, match=r"does not answer .*device-side assert.*same command"):
        next(found)
