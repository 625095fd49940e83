"""A small space whose networks need no training to be written."""

from __future__ import annotations

import math

import pytest
from torch import nn

from foretell.spaces.base import Space, choice


class Small(Space):
    """One to three layers; 117 networks."""

    depth = choice([1, 2, 3])
    width = choice([2, 3, 4])
    op = choice(["linear", "relu", "tanh"], repeat="depth")

    def build(self, x, input_shape, n_outputs):
        a = self.decode(x)
        layers, size = [nn.Flatten()], math.prod(input_shape)
        for op in a["op"]:
            layers += [nn.Linear(size, a["width"])]
            layers += {"linear": [], "relu": [nn.ReLU()], "tanh": [nn.Tanh()]}[op]
            size = a["width"]
        return nn.Sequential(*layers, nn.Linear(size, n_outputs))


@pytest.fixture(scope="session")
def small():
    return Small(input_shape=(1, 3, 3), n_outputs=4)
