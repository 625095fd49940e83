"""What the winner says of new files; needs `best/` and nothing else of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from foretell.training.data import read_inputs
from foretell.winner.load import config_of, core, find


@dataclass(frozen=True)
class ClassPrediction:
    """One input of a classifier: its name, the most probable label, and that probability."""

    name: str
    label: str
    probability: float

    @staticmethod
    def columns() -> tuple[str, ...]:
        """Headings of `cells`."""
        return ("input", "label", "probability")

    def cells(self) -> tuple[str, ...]:
        """For a table of text."""
        return (self.name, self.label, f"{self.probability:.3f}")

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class LabelsPrediction:
    """One input of a network with several labels: its name, those with probability 1/2 or more,
    and the probability of each label."""

    name: str
    labels: tuple[str, ...]
    probabilities: dict[str, float]

    def columns(self) -> tuple[str, ...]:
        """Headings of `cells`."""
        return ("input", "labels", *self.probabilities)

    def cells(self) -> tuple[str, ...]:
        """For a table of text."""
        chances = (f"{p:.3f}" for p in self.probabilities.values())
        return (self.name, ", ".join(self.labels), *chances)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "labels": list(self.labels)}


@dataclass(frozen=True)
class ValuePrediction:
    """One input of a regressor: its name and the predicted values, in the target's own unit."""

    name: str
    values: tuple[float, ...]
    target: str = ""

    def columns(self) -> tuple[str, ...]:
        """Headings of `cells`."""
        word = self.target or "value"
        many = len(self.values) > 1
        return ("input", *(f"{word}_{i}" if many else word for i in range(len(self.values))))

    def cells(self) -> tuple[str, ...]:
        """For a table of text."""
        return (self.name, *(f"{value:.6g}" for value in self.values))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"name": self.name, "values": list(self.values)}


Prediction = ClassPrediction | LabelsPrediction | ValuePrediction


def predict(
    folder: str | Path,
    path: str | Path | Sequence[str | Path],
    *,
    batch_size: int = 256,
    unread: dict[str, str] | None = None,
    code: bool = True,
) -> list[Prediction]:
    """Predictions of a trained network for new files, in their order.

    Inputs are read and normalised as the training data was. A class has probability
    softmax(scores), each of several labels sigmoid(score); values are in the unit of the training
    targets.

    Args:
        folder: the `best/` folder of a run, or the run's own.
        path: an image, a folder of images, a .npz file with `x`, or a .csv file; or several.
        batch_size: inputs that go through the network at once.
        unread: takes names of broken images in a folder, and what is wrong with each; None to
            raise for them.
        code: whether the folder's model.py may run, see `foretell.load`.

    Raises:
        RunError: the folder has no network that can be loaded.
        DataError: the file cannot be read, or its inputs do not fit the network.
    """
    folder = find(folder)
    config = config_of(folder)
    spec, labels = config["input"], config["labels"]
    target = spec["target"]
    names, inputs = read_inputs(path, spec, unread)
    scores = torch.from_numpy(outputs(core(folder, code=code), inputs, batch_size))
    if config["task"] == "classification":
        top = scores.softmax(dim=1).max(dim=1)
        return [
            ClassPrediction(name, labels[k], p)
            for name, k, p in zip(names, top.indices.tolist(), top.values.tolist(), strict=True)
        ]
    if config["task"] == "multilabel":
        chances = scores.sigmoid().tolist()
        return [
            LabelsPrediction(
                name,
                tuple(label for label, p in zip(labels, row, strict=True) if p >= 0.5),
                dict(zip(labels, row, strict=True)),
            )
            for name, row in zip(names, chances, strict=True)
        ]
    values = scores.numpy() * np.array(target["std"]) + np.array(target["mean"])
    return [
        ValuePrediction(name, tuple(row), target["name"])
        for name, row in zip(names, values.tolist(), strict=True)
    ]


@torch.no_grad()
def outputs(network: nn.Module, inputs: NDArray[Any], batch_size: int = 256) -> NDArray[Any]:
    """What a network says of inputs, a batch at a time.

    Shapes: returns (n, n_outputs).
    """
    parts = [
        network(torch.from_numpy(np.ascontiguousarray(inputs[i : i + batch_size])))
        for i in range(0, max(1, len(inputs)), batch_size)
    ]
    return np.asarray(torch.cat(parts).numpy())


def labels_of(spec: Mapping[str, Any]) -> NDArray[Any]:
    """The classes, as whole numbers where all of them are written so; empty for a regression.

    >>> labels_of({"labels": ["0", "1"]}).tolist(), labels_of({"labels": ["01", "1"]}).tolist()
    ([0, 1], ['01', '1'])
    """
    labels = [str(label) for label in spec["labels"]]
    try:
        whole = [str(int(label)) for label in labels] == labels
    except ValueError:
        whole = False
    return np.array([int(label) for label in labels] if whole else labels)
