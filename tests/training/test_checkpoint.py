from __future__ import annotations

import json
import resource
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, load_model
from torch import nn

from foretell._files import sweep
from foretell.errors import DataError
from foretell.training import checkpoint
from foretell.training.checkpoint import (
    Moving,
    State,
    pack,
    read_model,
    unpack,
    write,
    write_model,
)

OF = {"arch": "a", "seed": 1}
CURVE = {"val_loss": [0.1 + 0.2, 1 / 3]}


class Tied(nn.Module):
    """Two names for one weight, a buffer that is not saved with the weights, a frozen scalar."""

    def __init__(self, width=3):
        super().__init__()
        self.a = nn.Conv2d(width, width, 1, bias=False)
        self.b = nn.Conv2d(width, width, 1, bias=False)
        self.b.weight = self.a.weight
        self.norm = nn.BatchNorm2d(width)
        self.scale = nn.Parameter(torch.ones(()))
        self.register_buffer("seen", torch.zeros(()), persistent=False)

    def forward(self, x):
        self.seen += self.training
        return nn.functional.dropout(self.norm(self.b(self.a(x))), 0.5, self.training) * self.scale


def moving(optimiser="sgd", seed=0, width=3):
    torch.manual_seed(seed)
    model = Tied(width).to(memory_format=torch.channels_last)
    if optimiser == "sgd":
        step = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, nesterov=True, fused=True)
    else:
        step = torch.optim.AdamW(model.parameters(), 0.1, fused=True)
    order = torch.Generator().manual_seed(seed)
    return Moving(model, step, {"order": order, "torch": torch.default_generator})


def train(parts, steps=3):
    for _ in range(steps):
        x = torch.rand(4, 3, 5, 5, generator=parts.generators["order"])
        parts.optimiser.zero_grad()
        parts.model(x).square().mean().backward()
        parts.optimiser.step()


def equal(a, b):
    a, b = a.tensors(), b.tensors()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@contextmanager
def no_room(limit=100):
    """Files cannot grow beyond `limit` bytes: writing fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(autouse=True)
def _same_randomness_after():
    with torch.random.fork_rng(devices=[]):
        yield


@pytest.fixture
def saved(tmp_path):
    """A state file and what is in it."""
    parts = moving()
    train(parts)
    state = State(tmp_path / "1.state", OF)
    state.save(parts, CURVE, {"best": torch.ones(2)}, now=True)
    return tmp_path / "1.state", parts


# -- there and back ------------------------------------------------------------------------------


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_what_goes_on_from_a_file_is_bit_equal(optimiser, tmp_path):
    one = moving(optimiser)
    train(one)
    State(tmp_path / "s", OF).save(one, CURVE, {"w": torch.arange(3)}, now=True)
    train(one)
    there = torch.default_generator.get_state()
    other = moving(optimiser, seed=5)
    curve, best = State(tmp_path / "s", OF).load(other)
    assert curve == CURVE
    assert {name: value.tolist() for name, value in best.items()} == {"w": [0, 1, 2]}
    assert not equal(one, other)
    train(other)
    assert equal(one, other)
    assert torch.equal(torch.default_generator.get_state(), there)
    assert other.model.seen == 6
    assert other.model.a.weight is other.model.b.weight


def test_memory_of_the_optimiser_lies_as_the_weights_do(tmp_path):
    """Fused steps read both as one line of numbers."""
    model = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    parts = Moving(model, torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, fused=True), {})
    train(Moving(model, parts.optimiser, {"order": torch.Generator()}))
    State(tmp_path / "s", OF).save(parts, CURVE, {}, now=True)
    parts.optimiser.state.clear()
    State(tmp_path / "s", OF).load(parts)
    memory = parts.optimiser.state[model.weight]["momentum_buffer"]
    assert memory.stride() == model.weight.stride() != memory.contiguous().stride()


def test_a_parameter_that_is_not_used_has_no_memory(tmp_path):
    one = moving()
    one.model.idle = nn.Parameter(torch.ones(2))
    one.optimiser.add_param_group({"params": [one.model.idle]})
    train(one)
    State(tmp_path / "s", OF).save(one, CURVE, {}, now=True)
    train(one)
    other = moving(seed=5)
    other.model.idle = nn.Parameter(torch.zeros(2))
    other.optimiser.add_param_group({"params": [other.model.idle]})
    assert State(tmp_path / "s", OF).load(other)[0] == CURVE
    train(other)
    assert equal(one, other)


def test_generators_that_only_one_side_has(saved):
    """A state from a machine without a GPU goes on on one that has it, and the other way."""
    path, parts = saved
    other = moving(seed=5)
    untouched = torch.Generator().manual_seed(7)
    other.generators["cuda"] = torch.Generator().manual_seed(7)
    assert State(path, OF).load(other)[0] == CURVE
    assert torch.equal(other.generators.pop("cuda").get_state(), untouched.get_state())
    del other.generators["order"], parts.generators["order"]
    State(path, OF).load(other)
    assert equal(parts, other)


# -- what is not read ----------------------------------------------------------------------------


def is_ignored(path, of=OF, width=3):
    fresh, other = moving(seed=5, width=width), moving(seed=5, width=width)
    state = State(path, of)
    found = state.load(other)
    return found == ({}, {}) and equal(fresh, other) and state.before == 0


def test_no_file(tmp_path):
    assert is_ignored(tmp_path / "none")
    assert is_ignored(tmp_path)  # a folder
    assert is_ignored(tmp_path / "no" / "folder")


def test_a_file_that_is_cut_off_anywhere(saved):
    path, _ = saved
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    cuts = {0, 1, 7, 8, 9, header - 1, header, header + 1, len(whole) - 1}
    for cut in sorted(cuts | set(range(0, len(whole), len(whole) // 20))):
        path.write_bytes(whole[:cut])
        assert is_ignored(path)
    path.write_bytes(whole + b"\0")
    assert is_ignored(path)
    path.write_bytes(bytes(len(whole)))
    assert is_ignored(path)
    path.write_bytes(whole)
    assert not is_ignored(path)


def test_a_foreign_file(saved, monkeypatch):
    path, parts = saved
    assert is_ignored(path, OF | {"seed": 2})
    assert is_ignored(path, {"arch": "a"})
    assert is_ignored(path, width=4)  # says the same, but is not
    monkeypatch.setattr(checkpoint, "__version__", "0.0.0")
    assert is_ignored(path)
    monkeypatch.undo()
    write(path, parts.tensors())  # somebody's weights
    assert is_ignored(path)
    of = State(path, OF).of
    for header in ({"of": of}, {"of": of, "curve": "{", "seconds": "1"}):
        write(path, parts.tensors(), header)
        assert is_ignored(path)
    assert json.loads(of)["torch"] == torch.__version__


# -- writing -------------------------------------------------------------------------------------


def test_a_full_disk_leaves_the_older_state(saved):
    path, parts = saved
    before = path.read_bytes()
    state = State(path, OF)
    with no_room():
        state.save(parts, {"val_loss": [1.0]}, {}, now=True)
        with pytest.raises(OSError, match="too large"):
            write(path, parts.tensors())
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_no_state_where_no_file_can_be(saved):
    path, parts = saved
    state = State(path / "below a file", OF)
    state.save(parts, CURVE, {}, now=True)
    assert state.load(parts) == ({}, {})
    assert list(path.parent.iterdir()) == [path]


def test_seconds_go_on_from_the_file(saved, monkeypatch):
    path, parts = saved
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(checkpoint, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    first = State(path, OF)
    clock.now += 5
    first.save(parts, CURVE, {}, now=True)
    clock.now += 1000  # broken off
    second = State(path, OF)
    second.load(parts)
    clock.now += 2
    assert (first.before, second.before, second.seconds) == (0.0, 5.0, 7.0)


def test_how_often_it_is_written(tmp_path, monkeypatch):
    """At most once in `every_s`, and at most `SHARE` of the time."""
    clock, cost, writes = SimpleNamespace(now=0.0), SimpleNamespace(s=0.0), []
    monkeypatch.setattr(checkpoint, "time", SimpleNamespace(perf_counter=lambda: clock.now))

    def slow(*_):
        writes.append(clock.now)
        clock.now += cost.s

    monkeypatch.setattr(checkpoint, "write", slow)
    parts = moving()

    def epochs(state, seconds):
        writes.clear()
        end = clock.now + seconds
        while clock.now < end:
            clock.now += 0.1
            state.save(parts, CURVE, {})
        return len(writes)

    assert 5 <= epochs(State(tmp_path / "s", OF), 10) <= 6  # the first after GUESS_S / SHARE
    assert epochs(State(tmp_path / "s", OF, every_s=0), 10) == pytest.approx(100, abs=1)
    cost.s = 0.5
    assert epochs(State(tmp_path / "s", OF), 505) * cost.s <= 505 * checkpoint.SHARE * 1.1


def test_what_killed_writers_left_is_swept(tmp_path):
    ours = [tmp_path / f"1.state.{word}.part" for word in ("0a", "ff00")]
    others = [tmp_path / name for name in ("11.state.0a.part", "1.state", "1.safetensors.0a.part")]
    for path in [*ours, *others]:
        path.touch()
    sweep(tmp_path / "1.state")
    assert set(tmp_path.iterdir()) == set(others)
    sweep(tmp_path / "none" / "1.state")


def test_weights_with_two_names_are_written_once(tmp_path):
    parts = moving()
    train(parts)
    write_model(parts.model, tmp_path / "deep" / "w.safetensors")
    names = {"a.weight", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"}
    names |= {"norm.num_batches_tracked", "scale"}
    assert set(load_file(tmp_path / "deep" / "w.safetensors")) == names
    other = Tied()
    load_model(other, tmp_path / "deep" / "w.safetensors")
    ours, theirs = parts.model.state_dict(), other.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("every", [False, True])
def test_tied_weights_are_read_under_one_name_or_all(every, tmp_path):
    """`best/` has each name of a weight, a checkpoint one; both give the network back."""
    one, other = moving(seed=0).model, moving(seed=1).model
    path = tmp_path / "w.safetensors"
    if every:
        write(path, {name: value.clone() for name, value in one.state_dict().items()})
    else:
        write_model(one, path)
    read_model(other, path)
    assert other.b.weight is other.a.weight
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_weights_of_another_network_are_refused(tmp_path):
    model = moving().model
    whole = pack(model)
    for tensors, words in [
        ({k: v for k, v in whole.items() if k != "scale"}, "expected 'scale' too"),
        ({**whole, "extra": torch.ones(1)}, "got 'extra'"),
    ]:
        with pytest.raises(DataError, match=words):
            unpack(model, tensors)
