"""The contract suite of evidence: what it passes, and what it must catch."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

import foretell as ft
from foretell.evidence import Evidence, Paid
from foretell.testing.evidence import check_evidence

NB201 = ft.spaces.get("nb201")
OWN = ft.Space.from_choices(
    {"width": [4, 8, 16], "act": ["relu", "tanh"]},
    lambda a, i, o: torch.nn.Linear(i[0], a["width"]),
    input_shape=(3,),
)


class Sound(Evidence):
    """Weights of a network at initialisation; rows of option 4 first have none."""

    features = ("norm", "first")
    free = ("device",)

    def __init__(self, space=None, seed=0, device="cpu"):
        self.space, self.seed, self.device = space, seed, device

    def compute(self, X):
        if X[0, 0] == 4:
            raise ValueError("cannot be built")
        rng = np.random.default_rng([self.seed, *X[0].tolist()])
        return rng.normal(size=(1, 2)) + X.sum()


class InBlocks(Evidence):
    block, isomorphic = 3, False

    def __init__(self, space=None):
        self.space = space

    def compute(self, X):
        return Paid((X > 0).sum(axis=1), np.full(len(X), 2.5))


class Alike(InBlocks):
    isomorphic = True

    def compute(self, X):
        return (self.space.canonical(X) % np.uint64(1000)).astype(float)


@pytest.mark.parametrize("kind", [Sound, InBlocks, Alike])
def test_sound_ones_pass(kind):
    check_evidence(kind(NB201), spaces=[OWN])


class Faulty(InBlocks):
    block = 1


class Fresh(Faulty):
    def compute(self, X):
        return np.random.default_rng().normal(size=len(X))


class OfTheProcess(Faulty):
    def compute(self, X):
        return X.sum(axis=1) + os.getpid()


class OfTheGlobalGenerator(Faulty):
    def compute(self, X):
        np.random.seed(0)
        return np.random.rand(len(X))


class OfTheOtherRows(Faulty):
    block = 4

    def compute(self, X):
        return X.sum(axis=1) - X.sum(axis=1).mean()


class OfTheOrder(Faulty):
    asked = 0

    def compute(self, X):
        OfTheOrder.asked += 1
        return np.full(len(X), OfTheOrder.asked)


class WrongShape(Faulty):
    features = ("one", "other")

    def compute(self, X):
        return X.sum(axis=1)


class Earns(Faulty):
    def compute(self, X):
        return Paid(X.sum(axis=1), -1.0)


class ChangesItsArguments(Faulty):
    def __init__(self, space=None, scale=2):
        self.space, self.scale = space, scale + 1


class AnotherEachTime(Faulty):
    def depends_on(self):
        return id(self)


class FreeOfNothing(Faulty):
    free = ("devices",)


class NotAlike(Faulty):
    isomorphic = True


class NeverAnswers(Faulty):
    def compute(self, X):
        raise ValueError("no")


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (Fresh, "asked again, the answer is another|depends on the other rows"),
        (OfTheProcess, "in another process the answer is another"),
        (OfTheGlobalGenerator, "the global generator of numpy"),
        (OfTheOtherRows, "depends on the other rows"),
        (OfTheOrder, "depends on the other rows"),
        (WrongShape, "expected shape"),
        (Earns, "seconds are negative"),
        (ChangesItsArguments, "clone changed parameter 'scale'|does not set or modifies"),
        (AnotherEachTime, "is taken for another evidence"),
        (FreeOfNothing, "which are no parameters"),
        (NotAlike, "`isomorphic` is not true"),
        (NeverAnswers, "has no answer to any"),
    ],
)
def test_faulty_ones_are_caught(kind, word):
    with pytest.raises((AssertionError, ft.ForetellError), match=word):
        check_evidence(kind(NB201))
