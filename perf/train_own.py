"""Small real trainings of a space of five widths: the table that `bench_own.py` reads.

Perceptrons of five hidden layers, each 4 to 64 wide, learn scikit-learn's digits (700 rows, six
epochs of Adam) and are validated on the other 1,097. An architecture's accuracy is the mean of 48
trainings, side by side in one batched product, so that the order of the architectures is theirs and
not the noise of a training; the means of both halves say how much noise is left. A line is added to
`perf/width_trainings.csv` when one is done, so that the program may be stopped and started again.

    python perf/train_widths.py [--minutes 8]
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from itertools import pairwise
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from sklearn.datasets import load_digits

TABLE = Path(__file__).with_name("width_trainings.csv")
WIDTHS = (4, 6, 8, 12, 16, 24, 32, 48, 64)
LAYERS, NETWORKS, TRAININGS = 5, 472, 48
TRAIN, EPOCHS, BATCH, LR = 700, 6, 50, 5e-3
COLUMNS = (*(f"width{i}" for i in range(1, LAYERS + 1)), "first_half", "second_half")


def rows() -> np.ndarray:
    """The architectures: random ones, no two alike."""
    found = np.random.default_rng(0).choice(WIDTHS, size=(2 * NETWORKS, LAYERS))
    _, first = np.unique(found, axis=0, return_index=True)
    return found[np.sort(first)[:NETWORKS]]


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and classes, shuffled; the mean of the training rows is 0."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x = torch.tensor(x[order] / 16, dtype=torch.float32)
    return x - x[:TRAIN].mean(dim=0), torch.tensor(y[order])


def accuracies(widths: np.ndarray, x: torch.Tensor, y: torch.Tensor, seed: int) -> np.ndarray:
    """Validation accuracy of each of `TRAININGS` networks of these widths."""
    rng = torch.Generator().manual_seed(seed)
    layers = []
    sizes = [x.shape[1], *map(int, widths), 10]
    for i, o in pairwise(sizes):
        w = torch.randn(TRAININGS, i, o, generator=rng) * (2 / i) ** 0.5
        layers.append((torch.zeros(TRAININGS, 1, o).requires_grad_(), w.requires_grad_()))

    def outputs(h: torch.Tensor) -> torch.Tensor:
        for bias, weight in layers[:-1]:
            h = torch.relu(torch.baddbmm(bias, h, weight))
        return torch.baddbmm(layers[-1][0], h, layers[-1][1])

    steps = EPOCHS * (TRAIN // BATCH)
    adam = torch.optim.Adam([tensor for layer in layers for tensor in layer], lr=LR)
    falling = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: 1 - step / steps)
    for _ in range(EPOCHS):
        order = torch.rand(TRAININGS, TRAIN, generator=rng).argsort(dim=1)
        for rows in order.split(BATCH, dim=1):
            logits = outputs(x[rows]).flatten(0, 1)
            loss = torch.nn.functional.cross_entropy(logits, y[rows].flatten()) * TRAININGS
            adam.zero_grad()
            loss.backward()
            adam.step()
            falling.step()
    with torch.no_grad():
        said = outputs(x[TRAIN:].expand(TRAININGS, -1, -1)).argmax(dim=2)
    return (said == y[TRAIN:]).float().mean(dim=1).numpy()


def main() -> int:
    """Train what is not in the table yet."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--minutes", type=float, default=float("inf"))
    args = parser.parse_args()
    end = time.monotonic() + 60 * args.minutes
    torch.set_num_threads(1)
    done = set()
    if TABLE.exists():
        with TABLE.open(newline="") as lines:
            done = {tuple(line[:LAYERS]) for line in csv.reader(lines)}
    else:
        TABLE.write_text(",".join(COLUMNS) + "\n")
    x, y = digits()
    for seed, widths in enumerate(rows()):
        if tuple(map(str, widths)) in done:
            continue
        if time.monotonic() > end:
            return 0
        found = accuracies(widths, x, y, seed)
        halves = found[: TRAININGS // 2].mean(), found[TRAININGS // 2 :].mean()
        with TABLE.open("a", newline="") as table:
            line = (*widths, *(f"{half:.4f}" for half in halves))
            csv.writer(table, lineterminator="\n").writerow(line)
    print("all trainings are done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
