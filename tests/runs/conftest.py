"""A small space and an evaluator that makes real weights without training them."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cloudpickle
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from foretell.errors import DataError
from foretell.evaluators.base import Evaluator, Result
from foretell.spaces.base import Costs, Space, choice

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import this file


class Small(Space):
    """One to three layers; 117 networks."""

    closed_form_costs = True
    depth = choice([1, 2, 3])
    width = choice([2, 3, 4])
    op = choice(["linear", "relu", "tanh"], repeat="depth")

    def costs(self, X):
        rows = self.canonical_form(self.check(X))
        more, width = rows[:, 0].astype(int), 2 + rows[:, 1].astype(int)
        size, out = math.prod(self.input_shape), self.n_outputs
        weights = size * width + more * width**2 + width * out
        return Costs(weights + (1 + more) * width + out, 2 * weights)

    def build(self, x, input_shape, n_outputs):
        a = self.decode(x)
        layers, size = [nn.Flatten()], math.prod(input_shape)
        for op in a["op"]:
            layers += [nn.Linear(size, a["width"])]
            layers += {"linear": [], "relu": [nn.ReLU()], "tanh": [nn.Tanh()]}[op]
            size = a["width"]
        return nn.Sequential(*layers, nn.Linear(size, n_outputs))


@dataclass
class Quick(Evaluator):
    """Weights are drawn from the seed; the metric is read off the network's outputs.

    `fail` and `kill` hold rows (as tuples) that raise, or end their process; `kill_once` is a
    folder that remembers who has been killed; `sleep_s` is how long a trial takes.
    """

    space: Space
    fail: tuple = ()
    kill: tuple = ()
    kill_once: Path | None = None
    sleep_s: float = 0.0
    log: Path | None = None  # one file a trial that was trained
    epochs: int = 1  # the objective grows evenly over them

    objective = "val_acc"

    def _metrics(self, network, name):
        inputs = torch.linspace(-1, 1, 4 * math.prod(self.space.input_shape))
        with torch.no_grad():
            out = network(inputs.reshape(4, *self.space.input_shape))
        value = float(torch.sigmoid(out.sum() + (0.1 if name == "test" else 0.0)))
        return {f"{name}_acc": value, f"{name}_loss": 1 - value}

    def _network(self, x, weights):
        network = self.space.build(x, self.space.input_shape, self.space.n_outputs)
        network.load_state_dict(load_file(weights))
        return network.eval()

    def evaluate(self, x, seed=0, *, weights=None, state=None, epochs=None):
        row = tuple(int(v) for v in x)
        time.sleep(self.sleep_s)
        if row in self.fail:
            raise DataError("this network does not train", got=row)
        if row in self.kill:
            mark = self.kill_once and self.kill_once / "-".join(map(str, row))
            if mark is None or not mark.exists():
                if mark is not None:
                    mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = self.space.build(x, self.space.input_shape, self.space.n_outputs).eval()
        whole = epochs is None or epochs >= self.epochs
        if state is not None and not whole:
            state.write_text(str(epochs))
        if weights is not None and whole:
            part = weights.with_suffix(f".{os.getpid()}.tmp")
            save_file(network.state_dict(), part)
            os.replace(part, weights)
        if self.log is not None:
            (self.log / f"{seed}-{time.time_ns()}").touch()
        metrics = self._metrics(network, "val")
        n = self.epochs if epochs is None else epochs
        curve = [metrics["val_acc"] * e / self.epochs for e in range(1, n + 1)]
        metrics["val_acc"] = curve[-1]
        return Result(metrics, {"val_acc": curve}, max(self.sleep_s, 0.01) * n, seed)

    def validate(self, network, split="val"):
        return self._metrics(network, split)

    def test(self, x, weights):
        return self._metrics(self._network(x, weights), "test")


@pytest.fixture(scope="session")
def small():
    return Small(input_shape=(1, 3, 3), n_outputs=4)


@pytest.fixture(scope="session")
def quick():
    """The class `Quick`."""
    return Quick


@pytest.fixture(scope="session")
def rows_of():
    """Rows as tuples, for `Quick.fail` and `Quick.kill`."""
    return lambda X: tuple(tuple(int(v) for v in x) for x in np.asarray(X))


@dataclass(frozen=True)
class Disk:
    """A file system of its own."""

    path: Path

    def fill(self):
        """Write until nothing fits any more."""
        with open(self.path / "filler", "wb", buffering=0) as file:
            while True:
                try:
                    file.write(bytes(4096))
                except OSError:
                    return

    def free(self):
        (self.path / "filler").unlink()

    def enlarge(self):
        """To 8 MB."""
        subprocess.run(["mount", "-o", "remount,size=8m", self.path], check=True)

    def read_only(self):
        subprocess.run(["mount", "-o", "remount,ro", self.path], check=True)


@pytest.fixture
def tiny_disk(tmp_path):
    """256 kB that really get full and read-only; needs the right to mount."""
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", path]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no right to mount a file system: {error}")
    yield Disk(path)
    subprocess.run(["umount", "--lazy", path], check=True)
