from __future__ import annotations

import re
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional

import foretell as ft
from foretell.evaluators.trainer import Trainer
from foretell.spaces.parts.checks import check
from foretell.training import soundness
from foretell.training.checkpoint import read_model
from foretell.training.data import load
from foretell.training.recipe import Recipe


class Net(nn.Module):
    """Sound: with a tied weight, a buffer that is saved, and a dropout that knows its mode."""

    def __init__(self, features, outputs):
        super().__init__()
        self.a = nn.Linear(features, features, bias=False)
        self.b = nn.Linear(features, features, bias=False)
        self.b.weight = self.a.weight
        self.norm = nn.BatchNorm1d(features)
        self.register_buffer("noise", torch.rand(features))
        self.head = nn.Linear(features, outputs)
        self.plain = [3.0, torch.ones(1), {"same": self.head}]  # nothing of it is lost

    def forward(self, x):
        x = self.norm(self.b(functional.relu(self.a(x.flatten(1))))) + self.noise * self.plain[1]
        return self.head(functional.dropout(x, 0.2, self.training))


class Normed(Net):
    """Weights that are computed of others before each pass, and a look at the last features."""

    def __init__(self, features, outputs):
        super().__init__(features, outputs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the older of the two ways
            self.more = nn.utils.weight_norm(nn.Linear(features, features))
        self.new = nn.utils.parametrizations.weight_norm(nn.Linear(features, features))
        self.spectral = nn.utils.spectral_norm(nn.Linear(features, features))

    def forward(self, x):
        self.seen = functional.relu(self.spectral(self.new(self.more(x.flatten(1)))))
        return super().forward(self.seen)


class Remembering(Net):
    """A running mean in a plain attribute: what it is after a training, nobody saves."""

    mean = 0.0

    def forward(self, x):
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean()
        return super().forward(x - self.mean)


class Listed(Net):
    def __init__(self, features, outputs):
        super().__init__(features, outputs)
        self.more = {"deep": [(nn.Linear(features, features),)]}

    def forward(self, x):
        return super().forward(self.more["deep"][0][0](x.flatten(1)))


class Loose(Net):
    def __init__(self, features, outputs):
        super().__init__(features, outputs)
        self.gains = [nn.Parameter(torch.rand(features))]

    def forward(self, x):
        return super().forward(x.flatten(1) * self.gains[0])


class Lazy(Net):
    def __init__(self, features, outputs):
        super().__init__(features, outputs)
        self.body = nn.Sequential(nn.LazyLinear(features), nn.LazyBatchNorm1d())

    def forward(self, x):
        return super().forward(self.body(x.flatten(1)))


class Dropping(Net):
    def forward(self, x):
        return functional.dropout(super().forward(x), 0.5, training=True)


class Counting(Net):
    calls = 0

    def forward(self, x):
        self.calls += 1
        return super().forward(x) + self.calls


class Drawn(Net):
    """What it multiplies with is drawn when it is built, and not saved."""

    def __init__(self, features, outputs):
        super().__init__(features, outputs)
        self.drawn = torch.rand(features)

    def forward(self, x):
        return super().forward(x.flatten(1) * self.drawn)


class Unsaved(Net):
    def __init__(self, features, outputs):
        super().__init__(features, outputs)
        self.register_buffer("noise", torch.rand(features), persistent=False)


def space_of(kind):
    return ft.Space.from_choices(
        {"width": [1, 2]},
        build=lambda d, i, o: kind(int(torch.tensor(i).prod()), o),
        input_shape=(1, 8, 8), n_outputs=10,
    )  # fmt: skip


BROKEN = [
    (Listed, "registered", r"more\['deep'\]\[0\]\[0\].weight and 1 more is no part"),
    (Loose, "registered", r"gains\[0\] is no part of the network"),
    (Lazy, "lazy", r"body.0.weight and 5 more has no size before the first inputs"),
    (Dropping, "repeats", "two forward passes of the same inputs in eval mode differ"),
    (Counting, "repeats", "two forward passes"),
    (Drawn, "saved", "read back from its saved weights gives other outputs"),
    (Unsaved, "saved", "read back from its saved weights"),
]


@pytest.mark.parametrize(("kind", "code", "words"), BROKEN)
def test_what_does_not_come_back_is_named_before_training(kind, code, words, monkeypatch):
    """By `space check`, and by the first of its trainings before it costs anything."""
    found = [finding for finding in check(space_of(kind)) if finding.level == "error"]
    assert [finding.code for finding in found] == [code]
    assert re.search(words, found[0].text)
    steps = []
    monkeypatch.setattr(torch.optim.SGD, "step", lambda *a, **k: steps.append(1))
    result = Trainer(space_of(kind), load("digits"), Recipe(epochs=1)).evaluate([0])
    assert re.search(words, result.error)
    assert steps == []


def test_what_training_leaves_outside_is_named_after_it(tmp_path):
    found = [finding for finding in check(space_of(Remembering)) if finding.level == "error"]
    assert [finding.code for finding in found] == ["saved"]
    trainer = Trainer(space_of(Remembering), load("digits"), Recipe(epochs=1))
    result = trainer.evaluate([0], weights=tmp_path / "w.safetensors")
    assert "read back from its saved weights gives other outputs" in result.error
    assert not (tmp_path / "w.safetensors").exists()


@pytest.mark.parametrize("kind", [Net, Normed])
def test_a_sound_network_trains_and_comes_back(tmp_path, kind):
    torch.manual_seed(0)
    space = space_of(kind)
    assert not [finding for finding in check(space) if finding.level == "error"]
    trainer = Trainer(space, load("digits"), Recipe(epochs=1))
    path = tmp_path / "w.safetensors"
    result = trainer.evaluate([0], weights=path)
    assert result.ok
    again = trainer._build([0])
    read_model(again, path)
    assert trainer.validate(again) == result.metrics


def test_a_look_leaves_modes_and_randomness_alone():
    """A training is the same, to the bit, whether the network has been looked at or not."""
    data, recipe = load("digits"), Recipe(epochs=1)
    trainer = Trainer(space_of(Net), data, recipe)
    looked = trainer.evaluate([0], 3)
    trainer._sound = lambda *a: None
    assert trainer.evaluate([0], 3).metrics == looked.metrics
    model = Net(4, 2).train()
    model.norm.eval()
    assert list(soundness.troubles(model, lambda: Net(4, 2), torch.rand(2, 4))) == []
    assert (model.training, model.norm.training, model.head.training) == (True, False, True)
