"""Small real trainings of two spaces whose options are numbers: the tables of `bench_own.py`.

widths   Perceptrons of five hidden layers, each 4 to 64 wide: 472 of them, 48 trainings each, six
         epochs.
stages   Networks as MnasNet has them, 28 decisions: seven stages of inverted bottlenecks with a
         kernel, an expansion, a number of layers and a width each; 300 of them, 4 trainings each,
         four epochs.

All learn 700 rows of scikit-learn's digits by Adam and are validated on the other 1,097. The
trainings of an architecture run side by side, in one batched product or one grouped convolution,
and their mean is its accuracy, so that the order of the architectures is theirs and not the noise
of a training; the means of both halves say how much noise is left. A line is added to
`perf/own_SPACE.csv` when one is done, so that the program may be stopped and started again.

    python perf/train_own.py {widths,stages} [--minutes 8]
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

TRAIN, BATCH, OUTPUTS = 700, 50, 10

# -- five widths ------------------------------------------------------------------------------
WIDTHS = {f"width{i}": (4, 6, 8, 12, 16, 24, 32, 48, 64) for i in range(1, 6)}


class Perceptrons(nn.Module):
    """As many perceptrons as there are copies, for rows (copies, n, 64)."""

    def __init__(self, sizes: Sequence[int], copies: int, rng: torch.Generator) -> None:
        super().__init__()
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for i, o in pairwise(sizes):
            self.weights.append(torch.randn(copies, i, o, generator=rng) * (2 / i) ** 0.5)
            self.biases.append(torch.zeros(copies, 1, o))

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        layers = list(zip(self.biases, self.weights, strict=True))
        for bias, weight in layers[:-1]:
            h = torch.relu(torch.baddbmm(bias, h, weight))
        return torch.baddbmm(layers[-1][0], h, layers[-1][1])


def widths(options: Sequence[int], copies: int, rng: torch.Generator) -> nn.Module:
    """Networks of five widths."""
    return Perceptrons([64, *options, OUTPUTS], copies, rng)


# -- seven stages of four decisions -----------------------------------------------------------
STRIDES = (1, 1, 2, 1, 2, 1, 1)
STEM = 8
OF_STAGE = {
    "kernel": (3, 5, 7),
    "expansion": (1, 2, 3, 4),
    "layers": (1, 2, 3),
    "width": (4, 6, 8, 12, 16),
}
STAGES = {
    f"stage{i}_{name}": options
    for i in range(1, len(STRIDES) + 1)
    for name, options in OF_STAGE.items()
}


class Bottleneck(nn.Module):
    """Widen, convolve each channel, narrow; added to its input where that has the same shape."""

    def __init__(
        self, i: int, o: int, kernel: int, expansion: int, stride: int, copies: int
    ) -> None:
        super().__init__()
        wide = copies * i * expansion
        layers: list[nn.Module] = []
        if expansion > 1:
            layers += [nn.Conv2d(copies * i, wide, 1, groups=copies, bias=False)]
            layers += [nn.BatchNorm2d(wide), nn.ReLU()]
        layers += [
            nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(),
            nn.Conv2d(wide, copies * o, 1, groups=copies, bias=False),
            nn.BatchNorm2d(copies * o),
        ]
        self.layers = nn.Sequential(*layers)
        self.adds = i == o and stride == 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.layers(x)
        return x + made if self.adds else made


def stages(options: Sequence[int], copies: int = 1) -> nn.Sequential:
    """Networks of seven stages, for images (n, copies, 8, 8); logits are (n, copies * 10, 1, 1)."""
    layers: list[nn.Module] = [
        nn.Conv2d(copies, copies * STEM, 3, padding=1, groups=copies, bias=False),
        nn.BatchNorm2d(copies * STEM),
        nn.ReLU(),
    ]
    width = STEM
    for stage, stride in enumerate(STRIDES):
        kernel, expansion, depth, wide = options[4 * stage : 4 * stage + 4]
        for layer in range(depth):
            first = stride if layer == 0 else 1
            layers.append(Bottleneck(width, wide, kernel, expansion, first, copies))
            width = wide
    head = nn.Conv2d(copies * width, copies * OUTPUTS, 1, groups=copies)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), head)


class Grouped(nn.Module):
    """Convolutional networks side by side, for rows (copies, n, 64) like the perceptrons."""

    def __init__(self, options: Sequence[int], copies: int) -> None:
        super().__init__()
        self.copies = copies
        self.networks = stages(options, copies)
        self.networks.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's types lack it

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        images = x.transpose(0, 1).reshape(-1, self.copies, 8, 8)
        images = images.contiguous(memory_format=torch.channels_last)
        made: torch.Tensor = self.networks(images)
        return made.reshape(-1, self.copies, OUTPUTS).transpose(0, 1)


# -- training ---------------------------------------------------------------------------------
class Own(NamedTuple):
    """A space that is sampled: its decisions, how its networks are made and trained."""

    choices: Mapping[str, tuple[int, ...]]
    networks: int
    copies: int
    epochs: int
    lr: float
    make: Callable[[Sequence[int], int, torch.Generator], nn.Module]

    def rows(self) -> np.ndarray:
        """The architectures: random ones, no two alike."""
        rng = np.random.default_rng(0)
        sizes = [len(options) for options in self.choices.values()]
        at = rng.integers(0, sizes, size=(2 * self.networks, len(sizes)))
        found = np.stack(
            [np.take(o, i) for o, i in zip(self.choices.values(), at.T, strict=True)], axis=1
        )
        _, first = np.unique(found, axis=0, return_index=True)
        return found[np.sort(first)[: self.networks]]


SPACES = {
    "widths": Own(WIDTHS, 472, 48, 6, 5e-3, widths),
    "stages": Own(STAGES, 300, 4, 4, 1e-2, lambda options, copies, rng: Grouped(options, copies)),
}


def table(space: str) -> Path:
    """Where the accuracies of a space are."""
    return Path(__file__).with_name(f"own_{space}.csv")


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and classes, shuffled; the mean of the training rows is 0."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x = torch.tensor(x[order] / 16, dtype=torch.float32)
    return x - x[:TRAIN].mean(dim=0), torch.tensor(y[order])


def accuracies(
    own: Own, options: Sequence[int], x: torch.Tensor, y: torch.Tensor, seed: int
) -> np.ndarray:
    """Validation accuracy of each training of an architecture, (copies,)."""
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    model = own.make(options, own.copies, rng)
    steps = own.epochs * (TRAIN // BATCH)
    adam = torch.optim.Adam(model.parameters(), lr=own.lr)
    falling = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: 1 - step / steps)
    for _ in range(own.epochs):
        order = torch.rand(own.copies, TRAIN, generator=rng).argsort(dim=1)
        for rows in order.split(BATCH, dim=1):
            logits = model(x[rows]).flatten(0, 1)
            loss = nn.functional.cross_entropy(logits, y[rows].flatten()) * own.copies
            adam.zero_grad()
            loss.backward()
            adam.step()
            falling.step()
    with torch.no_grad():
        settle(model, own.copies, x[:TRAIN])
        said = model(x[TRAIN:].expand(own.copies, -1, -1)).argmax(dim=2)
    right: np.ndarray = (said == y[TRAIN:]).float().mean(dim=1).numpy()
    return right


def settle(model: nn.Module, copies: int, x: torch.Tensor) -> None:
    """Statistics of normalisation layers are the means of the training rows' batches."""
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None  # the mean of all, none weighs more
    for rows in x.split(100) if norms else ():
        model(rows.expand(copies, -1, -1))
    model.eval()


def main() -> int:
    """Train what is not in the table yet."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("space", choices=SPACES)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    args = parser.parse_args()
    end = time.monotonic() + 60 * args.minutes
    torch.set_num_threads(1)
    own, path = SPACES[args.space], table(args.space)
    done = set()
    if path.exists():
        with path.open(newline="") as lines:
            done = {tuple(line[: len(own.choices)]) for line in csv.reader(lines)}
    else:
        path.write_text(",".join((*own.choices, "first_half", "second_half")) + "\n")
    x, y = digits()
    for seed, row in enumerate(own.rows()):
        if tuple(map(str, row)) in done:
            continue
        if time.monotonic() > end:
            return 0
        found = accuracies(own, row.tolist(), x, y, seed)
        half = own.copies // 2
        halves = found[:half].mean(), found[half:].mean()
        with path.open("a", newline="") as lines:
            line = (*row, *(f"{mean:.4f}" for mean in halves))
            csv.writer(lines, lineterminator="\n").writerow(line)
    print("all trainings are done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
