"""What a run hands over is the network that it has measured, or it says that it is not."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
from torch import nn

import foretell as ft
from foretell.errors import RunError


class Tied(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.a, self.b = nn.Linear(64, 64), nn.Linear(64, 64)
        self.b.weight = self.a.weight
        self.head = nn.Linear(64, outputs)

    def forward(self, x):
        return self.head(torch.relu(self.b(torch.relu(self.a(x.flatten(1))))))


class Normed(Tied):
    """Its weight is computed of others before each pass: a tensor that cannot be copied."""

    def __init__(self, outputs):
        super().__init__(outputs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the older of the two ways
            self.head = nn.utils.weight_norm(self.head)


class Remembers(Tied):
    """Of its training it keeps something that is not saved: nothing shows before."""

    steps, least = 0, 1

    def forward(self, x):
        self.steps += self.training
        turned = self.steps and not self.training and len(x) >= self.least
        return super().forward(x) * (-1.0 if turned else 1.0)


class Listed(Tied):
    def __init__(self, outputs):
        super().__init__(outputs)
        self.more = [nn.Linear(64, 64)]


class Hides(Remembers):
    """And shows it in whole batches alone, not on the two rows that are looked at."""

    least = 3


def nas(kind, out):
    space = ft.Space.from_choices(
        {"width": [1, 2, 3]}, build=lambda d, i, o: kind(o), input_shape=(1, 8, 8), n_outputs=10
    )
    return ft.NAS(space=space, n_train=2, top_k=1, epochs=1, workers=1, out=out, strategy="random")


def test_tied_weights_run_to_the_end_and_again(tmp_path):
    first = nas(Tied, tmp_path / "run").fit("digits")
    again = nas(Tied, tmp_path / "run").fit("digits")
    assert again.best_metrics_ == first.best_metrics_
    assert again.best_model_.network.b.weight is again.best_model_.network.a.weight


def test_weights_that_are_computed_of_others_run_to_the_end(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = nas(Normed, tmp_path / "run").fit("digits")
    assert run.best_metrics_["test_acc"] > 0.5
    copied = copy.deepcopy(run.best_model_)
    x = torch.rand(3, 1, 8, 8)
    assert torch.equal(copied(x), run.best_model_(x))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Remembers, "read back from its saved weights gives other outputs"),
        (Hides, "does not come back .*: val_acc.*space check"),
    ],
)
def test_a_network_that_is_not_what_was_measured_is_not_handed_over(tmp_path, kind, words):
    with pytest.raises(RunError, match=words):
        nas(kind, tmp_path / "run").fit("digits")
    assert not (tmp_path / "run" / "best").exists()


def test_a_reason_that_all_share_ends_in_one_next_step(tmp_path):
    with pytest.raises(RunError) as found:
        nas(Listed, tmp_path / "run").fit("digits")
    said = str(found.value)
    assert said.count("Next:") == 1
    assert "could be trained: more[0].weight and 1 more is no part" in said
    assert said.endswith("into nn.ParameterList, and start anew with another --out")
