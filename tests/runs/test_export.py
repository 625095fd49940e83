from __future__ import annotations

import io
import json
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

import foretell as ft
from foretell import cli
from foretell.errors import MissingExtraError, RunError
from foretell.nets.formats import program_of, pt2_of
from foretell.runs import best, export
from foretell.runs.predict import predict
from foretell.testing.cover import cover
from foretell.training.data import load


def winner_of(space, x, data=None, **more):
    """A network as after some training: moved weights, measured statistics of batch norms."""
    shape = space.input_shape
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(3)
        module = space.build(x, shape, space.n_outputs)
        for parameter in module.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
        for _ in range(5):
            module(torch.randn(8, *shape))
    plain = {"mean": [0.5] * shape[0], "std": [2.0] * shape[0], "scale": None}
    given = {
        "space": space,
        "x": x,
        "module": module.eval(),
        "task": data.task if data else "classification",
        "labels": data.labels if data else tuple(map(str, range(space.n_outputs))),
        "inputs": data.input_spec() if data else plain,
        "objective": "val_acc",
        "metrics": {"val_acc": 0.5},
        "facts": {"data": "made here"},
    }
    return best.Winner(**{**given, **more})


def written(folder, space, x, data=None):
    best.write(folder / "best", winner_of(space, x, data), lambda network: None)
    return folder / "best"


def own(forward, width=4):
    """A space of networks that run `forward(module, x)` with a linear layer `a`."""

    class Net(nn.Module):
        def __init__(self, n_outputs):
            super().__init__()
            self.a = nn.Linear(width, n_outputs)

        def forward(self, x):
            return forward(self, x)

    return ft.Space.from_choices(
        {"a": [1, 2]}, build=lambda decisions, shape, n_outputs: Net(n_outputs)
    ).with_io((width,), 3)


# -- every operation of every space ---------------------------------------------------------------


class Together(nn.Module):
    """Networks side by side: outputs (n, all of theirs)."""

    def __init__(self, networks):
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, x):
        return torch.cat([network(x) for network in self.networks], dim=1)


SPACES = {  # small sizes: it is operations that count; perf/bench_export.py has the usual ones
    "nb201": ({"channels": 4, "n_cells": 1}, (2, 9, 8)),
    "nb101": ({"channels": 16, "n_stacks": 2, "n_cells": 1}, (2, 6, 5)),
    "mobile": ({"preset": "tiny", "expands": (2,)}, (1, 8, 8)),
    "tabular": ({"widths": (4, 8)}, (5,)),
}


@pytest.mark.parametrize("name", SPACES)
def test_every_operation_of_every_space(name, tmp_path):
    settings, shape = SPACES[name]
    space = ft.spaces.get(name, **settings).with_io(shape, 2)
    X = cover(space)
    together = ft.Space.from_choices(
        {"a": [1]}, build=lambda *_: Together([space.build(x, shape, 2) for x in X])
    ).with_io(shape, 2 * len(X))
    folder = written(tmp_path, together, np.array([0]))
    assert best.config_of(folder)["standalone"]
    for call, file in ((export.to_onnx, "m.onnx"), (export.to_pt2, "m.pt2")):
        done = call(folder, tmp_path / file)
        assert done.difference <= export.TOLERANCE, file
        assert done.bytes == (tmp_path / file).stat().st_size > 0
