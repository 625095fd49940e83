"""Latency: clocks and commands whose answer is known, and what becomes of failures."""

from __future__ import annotations

import json
import os
import pickle
import random
import shlex
import sys
import time

import numpy as np
import pytest
import torch
from torch import nn

import foretell as ft
from foretell.costs.latency import Latency
from foretell.errors import SettingError, SpaceError
from foretell.spaces.parts.limited import Limited
from foretell.testing._globals import global_states


class Sleeps(nn.Module):
    def __init__(self, ms):
        super().__init__()
        self.ms = ms
        self.last = nn.Linear(4, 2)

    def forward(self, x):
        time.sleep(self.ms / 1000)
        return self.last(x)


class Timed(ft.Space):
    """`a` and `b` milliseconds; `echo {arch}` says the latter."""

    a = ft.choice([1, 2, 4])
    b = ft.choice([2, 4, 8, 16, 32])

    def build(self, x, input_shape, n_outputs):
        picked = self.decode(x)
        return Sleeps(picked["a"] + picked["b"])


def timed():
    return Timed(input_shape=(4,), n_outputs=2)


def whole(space):
    return np.concatenate(list(space.enumerate()))


# -- measured here -----------------------------------------------------------------------------


def test_milliseconds_of_networks_that_wait_a_known_time():
    space = timed()
    X = space.from_str(["a=1,b=2", "a=4,b=8", "a=2,b=32"])
    ms, spread = Latency(repeats=12, warmup=1).measured(space, X)
    assert (ms >= [3, 12, 34]).all()  # a sleep is never shorter
    assert (np.diff(ms) > 0).all()
    assert (spread >= 0).all()
    assert (spread < ms).all()


def test_median_spread_and_when_it_is_sure():
    def clock(times):
        left = iter(times)
        return lambda: next(left)

    latency = Latency(warmup=2, repeats=40)
    assert latency.repeated(clock([99.0, 99.0, *[5.0] * 10])) == (5.0, 0.0)  # 10 equal ones do
    wild = [1.0, 2.0, 3.0, 4.0] * 10
    median, spread = latency.repeated(clock([99.0, 99.0, *wild]))
    assert (median, spread) == (np.median(wild), np.percentile(wild, 75) - np.percentile(wild, 25))
    short = Latency(warmup=0, repeats=10**6, most_s=0)
    assert short.repeated(clock([1.0, 9.0] * 5)) == (5.0, 8.0)


def test_leaves_the_process_as_it_was():
    space = ft.spaces.get("tabular", input_shape=(4,), n_outputs=2)
    threads = torch.get_num_threads()
    latency = Latency(threads=threads + 1, repeats=10)
    random.seed(1)
    before = global_states()
    ms = latency(space, space.sample(3, rng=0))
    assert (ms > 0).all()
    assert global_states() == before
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()


def test_each_network_is_measured_once_and_told():
    space = timed()
    told = []
    latency = Latency(
        repeats=10,
        warmup=0,
        known={"a=1,b=2": (77.0, 1.0)},
        on_measured=lambda *what: told.append(what),
    )
    X = space.from_str(["a=1,b=2", "a=1,b=4", "a=1,b=4"])
    first = latency(space, X)
    assert first[0] == 77.0
    assert first[1] == first[2]
    assert (latency(space, X) == first).all()
    ((archs, values, spreads),) = told
    assert (archs, values) == (["a=1,b=4"], [first[1]])
    assert spreads[0] >= 0
    again = Latency(known=dict(latency.known), command="false {arch}")
    assert (again(space, X) == first).all()  # a continued run
    assert "busy" not in Latency(known={"a=1,b=4": (4.0, 0.1)}).note
    assert "the machine was busy" in Latency(known={"a=1,b=4": (4.0, 3.0)}).note
    sent = pickle.dumps(Latency(on_measured=print, known=latency.known))
    back = pickle.loads(sent)  # our own bytes
    assert back.on_measured is None
    assert back.known == latency.known
    assert latency.anew().known == {}


# -- predicted ---------------------------------------------------------------------------------


def test_prediction_of_what_was_not_measured():
    space = ft.Space.from_choices(
        {"a": range(6), "b": range(6), "c": range(6), "ms": [5]}, print, input_shape=(4,)
    )
    truth = {}  # 1 + a + b + c + a b / 4 ms, as if measured
    X = whole(space)
    for arch, x in zip(space.to_str(X), X.astype(float), strict=True):
        truth[arch] = (float(1 + x[:3].sum() + x[0] * x[1] / 4), 0.1)
    latency = Latency(fit=60, known=truth)
    said = latency(space, X)
    true = np.array([ms for ms, _ in truth.values()])
    error, tau = latency.error
    unasked = Latency(fit=60, command="false {arch}")
    assert unasked(space, X[:0]).shape == (0,)  # measures nothing
    assert np.median(np.abs(said / true - 1)) < 0.1
    assert error < 0.15  # as foretold by cross-validation
    assert tau > 0.85
    assert "predicted, median error" in latency.note
    assert latency.quick
    limited = Limited.of(space, {"latency_ms": 8}, latency)
    assert limited.loose is limited
    assert limited.size == (said <= 8).sum()
    assert (limited.measure(X, ("latency_ms",))[:, 0] == said).all()


def test_prediction_is_fitted_to_what_other_limits_leave():
    space = ft.spaces.get("tabular", input_shape=(4,), n_outputs=2)
    latency = Latency(fit=12, command="echo 3 {arch} 5")
    limited = Limited.of(space, {"params": 2000, "latency_ms": 9}, latency)
    limited.sample(5, rng=0)
    measured = space.from_str(list(latency.known))
    assert len(measured) >= 10
    assert (space.costs(measured).params <= 2000).all()


# -- by a command ------------------------------------------------------------------------------


def test_command_says_milliseconds():
    space = timed()
    X = whole(space)
    latency = Latency(command="echo {arch}")
    assert latency(space, X).tolist() == [float(space.decode(x)["b"]) for x in X]
    assert latency.note.startswith("latency of 15 networks measured (batch 1, 1 thread, command")


def python(code, *words):
    return shlex.join([sys.executable, "-S", "-c", code, *words])


def test_command_gets_files_and_decisions():
    code = (
        "import json, sys; onnx, pt2 = (open(f, 'rb').read() for f in sys.argv[1:3]);"
        "picked = json.loads(sys.argv[3]); print(onnx[:1], pt2[:2], picked['depth'] * 1.5)"
    )
    command = python(code, "{onnx}", "{pt2}", "{json}")
    space = ft.spaces.get("tabular", input_shape=(4,), n_outputs=2)
    X = space.from_str(["depth=1,width_0=16,activation=relu,norm=none,dropout=0"])
    assert Latency(command=command)(space, X).tolist() == [1.5]


def test_limits_by_a_command():
    space = timed()
    limited = Limited.of(space, {"latency_ms": 4}, Latency(command="echo {arch}"))
    assert repr(limited) == "<space Timed with latency_ms <= 4>"
    assert limited.loose is not limited
    assert limited.loose.size == 15
    assert limited.size == 6  # b is 2 or 4
    X = limited.sample(20, rng=0)
    assert (X[:, 1] <= 1).all()
    assert (limited.mutate(X, rng=1)[:, 1] <= 1).all()
    both = Limited.of(space, {"latency_ms": 4, "params": 9}, Latency(command="false {arch}"))
    with pytest.raises(SettingError, match="got params 10 at the least"):  # nothing is measured
        both.sample(1, rng=0)
    same = limited.with_io((4,), 2)
    assert same._within.latency is limited._within.latency
    assert limited.with_io((5,), 2)._within.latency.known == {}
    free = Limited.of(space, {}, Latency(command="echo {arch}"))
    assert free.size == 15
    assert free.measure(X[:2], ("latency_ms", "params")).tolist() == [
        [float(space.decode(x)["b"]), 10.0] for x in X[:2]
    ]


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import sys; sys.exit('the phone is off')", "exit status 1: the phone is off"),
        ("print('no number')", "got 'no number'"),
        ("print(-3)", "a positive number"),
        ("print(0)", "a positive number"),
        ("print(9e999)", "a positive number"),
    ],
)
def test_a_command_that_fails_is_one_line(code, says):
    space = timed()
    with pytest.raises(SettingError, match=says) as caught:
        Latency(command=python(code, "{arch}"))(space, space.sample(1, rng=0))
    assert "\n" not in str(caught.value)


def test_a_command_that_hangs_is_ended_with_its_children(tmp_path):
    code = (
        "import subprocess, sys; child = subprocess.Popen(['sleep', '600']);"
        "open(sys.argv[1], 'w').write(str(child.pid)); child.wait()"
    )
    file = tmp_path / "pid"
    command = python(code, str(file), "{arch}")
    space = timed()
    with pytest.raises(SettingError, match=r"no answer within 1\.5 s"):
        Latency(command=command, timeout_s=1.5)(space, space.sample(1, rng=0))
    child = int(file.read_text())
    for _ in range(100):
        if not alive(child):
            return
        time.sleep(0.05)
    pytest.fail("the command's child is still there")


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return os.path.exists(f"/proc/{pid}")


# -- failures ----------------------------------------------------------------------------------


def test_the_first_failure_ends_and_a_later_one_is_left_out():
    class Broken(Timed):
        def build(self, x, input_shape, n_outputs):
            if self.decode(x)["b"] == 8:
                raise ZeroDivisionError("no eight")
            return nn.Linear(4, 2)

    space = Broken(input_shape=(4,), n_outputs=2)
    good, bad = space.from_str(["a=1,b=4"]), space.from_str(["a=1,b=8"])
    with pytest.raises(SpaceError, match=r"latency of a=1,b=8 cannot be measured: .*no eight"):
        Latency()(space, bad)
    latency = Latency(command="echo {arch}")
    ms = latency(space, np.concatenate([good, bad]))
    assert ms[0] == 4
    assert np.isnan(ms[1])
    assert "1 could not be measured, such as a=1,b=8: ZeroDivisionError" in latency.note
    limited = Limited.of(space, {"latency_ms": 100}, latency)
    assert limited.size == 12
    assert not limited.within(bad)[0]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"batch": 0}, "latency, batch: expected a whole number from 1, got 0"),
        ({"threads": True}, "threads"),
        ({"most_s": float("nan")}, "most_s: expected a number from 0, got nan"),
        ({"fit": 3}, "fit: expected 0, or at least 10, got 3"),
        ({"command": "bench"}, "{onnx}, {pt2}, {arch}, {json}, got none of them"),
        ({"command": "bench {model}"}, "got {model}"),
        ({"command": "bench '{onnx}"}, "No closing quotation"),
    ],
)
def test_wrong_settings(settings, says):
    with pytest.raises(SettingError) as caught:
        Latency(**settings)
    assert says in str(caught.value)


def test_what_is_not_here():
    space = timed()
    X = space.sample(1, rng=0)
    with pytest.raises(SettingError, match="no-such-program"):
        Latency(command="no-such-program {arch}")(space, X)
    with pytest.raises(SettingError, match="device"):
        Latency(device="no-such-device")(space, X)
    few = ft.Space.from_choices({"b": [2, 4, 8]}, timed().build, input_shape=(4,))
    known = {"b=2": (2.0, 0.0), "b=4": (4.0, 0.0), "b=8": (8.0, 0.0)}
    with pytest.raises(SettingError, match="at least 10 different networks"):
        Latency(fit=10, known=known)(few, few.sample(1, rng=0))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu():
    space = ft.spaces.get("mobile", preset="tiny", input_shape=(1, 12, 9))
    latency = Latency(device="cuda", repeats=20)
    assert (latency(space, space.sample(3, rng=0)) > 0).all()
    assert json.dumps(latency.settings)
