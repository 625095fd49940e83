"""The contract suite of proxies: what it must catch."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from foretell.evidence.zero_cost import Proxy
from foretell.testing import proxies
from foretell.testing.proxies import check_proxy, examples


class Sound(Proxy):
    """Outputs of the shared pass."""

    def score(self, look):
        return float(look.seen.outputs.detach().abs().sum())


def test_a_sound_one_passes():
    check_proxy(Sound())


class OfTheGlobalGenerator(Proxy):
    """Torch's own is put back, and seeded by nobody: another number each time."""

    def score(self, look):
        return float(np.random.rand())


class SeedsTheGlobalOne(Proxy):
    def score(self, look):
        random.seed(0)
        return random.random()


class Text(Proxy):
    def score(self, look):
        return torch.ones(()) * 3


class NoDirection(Sound):
    higher_is_better = None


class NoAnswer(Proxy):
    def score(self, look):
        return float("nan")


class ChangesTheCopy(Proxy):
    """What it does to the weights is seen by those after it."""

    def score(self, look):
        with torch.no_grad():
            for w in look.weights:
                w.zero_()
        return 1.0


class ChangesTheData(Proxy):
    def score(self, look):
        look.targets[0] = 2 - look.targets[0]
        return 1.0


class Remembers(Proxy):
    def __init__(self):
        self.asked = 0

    def score(self, look):
        self.asked += 1
        return float(self.asked)


class ReadsWhatIsNotItsOwn(Proxy):
    """Without asking for them it has the input gradients that somebody else needs, or none."""

    def score(self, look):
        return float(look.seen.inputs.requires_grad)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (OfTheGlobalGenerator, "another|was used"),
        (SeedsTheGlobalOne, "was used"),
        (Text, "is a Tensor"),
        (NoDirection, "no bool"),
        (NoAnswer, "no answer to any"),
        (ChangesTheCopy, "changes what others see"),
        (ChangesTheData, "targets are others"),
        (Remembers, "is another"),
        (ReadsWhatIsNotItsOwn, "beside others"),
    ],
)
def test_a_faulty_one_is_caught(kind, says):
    with pytest.raises(AssertionError, match=says):
        check_proxy(kind())


class TouchesTheModule(Proxy):
    """Reaches round the copy to the network itself."""

    def __init__(self, module, how):
        self.module, self.how = module, how

    def score(self, look):
        self.how(self.module)
        return 1.0


@pytest.mark.parametrize(
    "how",
    [
        lambda m: m.weight.data.mul_(1 + 1e-6),
        lambda m: m.train(not m.training),
        lambda m: setattr(m.weight, "grad", None),
        lambda m: m.bias.requires_grad_(),
        lambda m: m.register_forward_hook(lambda *call: None),
        lambda m: setattr(m, "mask", 1),
    ],
)
def test_a_touched_network_is_caught(how, monkeypatch):
    known = {"images": examples()["images"]}
    monkeypatch.setattr(proxies, "examples", lambda: known)
    with pytest.raises(AssertionError, match="is another"):
        proxies.check_untouched(TouchesTheModule(known["images"][0][0], how))


def test_the_examples_have_what_can_be_touched():
    net, _ = examples()["images"]
    assert net[0].training
    assert not net[1].training
    assert net[0].weight.grad is not None
    assert not net[0].bias.requires_grad
